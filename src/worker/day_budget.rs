//! The counters of budgets that all isolates share: one object for each counter.

use std::time::Duration;

use serde::Deserialize;
use worker::{DurableObject, Env, Request, Response, Result, SqlStorage, State, Storage, durable_object};

use crate::policy::budget::Spent;
use crate::worker::query::Query;

/// Seconds after the last call of a counter when its object is empty: the day is over everywhere.
const KEPT_SECONDS: u64 = 2 * 86_400;

/// A Durable Object that counts the calls of a day.
#[durable_object(alarm)]
pub struct DayBudget {
    storage: Storage,
    sql: SqlStorage,
}

#[derive(Deserialize)]
struct Row {
    day: i64,
    count: i64,
}

impl DurableObject for DayBudget {
    fn new(state: State, _: Env) -> Self {
        let storage = state.storage();
        let sql = storage.sql();
        Self { storage, sql }
    }

    /// Counts a call of the day that the query names: `day`, and `most`, the calls that a day has; or gives one back, without `most`.
    async fn fetch(&self, request: Request) -> Result<Response> {
        let query = Query::of(&request);
        let value = |name: &str| query.get(name).and_then(|value| value.parse::<i64>().ok());
        let Some(asked) = value("day") else { return Response::error("day is required", 400) };
        let known = self.read()?;
        // An isolate whose clock is behind must not begin the day again.
        let (day, count) = if known.day >= asked { (known.day, known.count) } else { (asked, 0) };
        let Some(most) = value("most") else {
            // A call of a day that is over has nothing to give back.
            if known.day == asked {
                self.write(day, count.saturating_sub(1).max(0))?;
            }
            return Response::ok("given back");
        };
        let spent = Spent::of(u64::try_from(count).unwrap_or_default(), u64::try_from(most).unwrap_or_default());
        if let Spent::Counted(number) = spent {
            self.write(day, i64::try_from(number).unwrap_or(i64::MAX))?;
            if self.storage.get_alarm().await?.is_none() {
                self.storage.set_alarm(Duration::from_secs(KEPT_SECONDS)).await?;
            }
        }
        Response::ok(spent.to_word())
    }

    async fn alarm(&self) -> Result<Response> {
        let today = i64::try_from(worker::Date::now().as_millis() / 1000 / 86_400).unwrap_or(i64::MAX);
        if self.read()?.day < today {
            self.storage.delete_all().await?;
        } else {
            self.storage.set_alarm(Duration::from_secs(KEPT_SECONDS)).await?;
        }
        Response::empty()
    }
}

impl DayBudget {
    fn read(&self) -> Result<Row> {
        self.sql.exec("CREATE TABLE IF NOT EXISTS spent (id INTEGER PRIMARY KEY, day INTEGER, count INTEGER)", None)?;
        let rows = self.sql.exec("SELECT day, count FROM spent WHERE id = 1", None)?.to_array::<Row>()?;
        Ok(rows.into_iter().next().unwrap_or(Row { day: 0, count: 0 }))
    }

    fn write(&self, day: i64, count: i64) -> Result<()> {
        self.sql
            .exec("INSERT OR REPLACE INTO spent (id, day, count) VALUES (1, ?, ?)", vec![day.into(), count.into()])?;
        Ok(())
    }
}

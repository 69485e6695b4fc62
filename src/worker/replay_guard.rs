//! The memory of used proofs that all isolates share: one object for each key, so that a caller waits only for its own
//! proofs.

use std::time::Duration;

use serde::Deserialize;
use worker::{DurableObject, Env, Request, Response, Result, SqlStorage, State, Storage, durable_object};

use crate::limits::PROOFS_OF_ONE_KEY;
use crate::token::binding::replay::Use;
use crate::worker::query::Query;

/// A Durable Object that remembers used DPoP proofs of one key (RFC 9449 §11.1).
#[durable_object(alarm)]
pub struct ReplayGuard {
    storage: Storage,
    sql: SqlStorage,
}

#[derive(Deserialize)]
struct Count {
    count: usize,
}

impl DurableObject for ReplayGuard {
    fn new(state: State, _: Env) -> Self {
        let storage = state.storage();
        let sql = storage.sql();
        Self { storage, sql }
    }

    /// Uses the proof that the query names: `id`, and `until`, the second after which the proof is no longer valid.
    async fn fetch(&self, request: Request) -> Result<Response> {
        let query = Query::of(&request);
        let until = query.get("until").and_then(|until| until.parse::<i32>().ok());
        let (Some(id), Some(until)) = (query.get("id"), until) else {
            return Response::error("id and until are required", 400);
        };
        let now = worker::Date::now().as_millis() / 1000;
        let used = self.use_once(id, until, now)?;
        if used == Use::First && self.storage.get_alarm().await?.is_none() {
            self.wake_at(u64::try_from(until).unwrap_or_default(), now).await?;
        }
        Response::ok(used.as_str())
    }

    async fn alarm(&self) -> Result<Response> {
        let now = worker::Date::now().as_millis() / 1000;
        self.prepare()?;
        self.forget(now)?;
        match self.count("SELECT COALESCE(MAX(until), 0) AS count FROM used")? as u64 {
            // The storage of a key that is no longer used is deleted completely.
            0 => self.storage.delete_all().await?,
            last => self.wake_at(last, now).await?,
        }
        Response::empty()
    }
}

impl ReplayGuard {
    fn use_once(&self, id: &str, until: i32, now: u64) -> Result<Use> {
        self.prepare()?;
        self.forget(now)?;
        if self.count("SELECT COUNT(*) AS count FROM used")? >= PROOFS_OF_ONE_KEY {
            return Ok(Use::Full);
        }
        let inserted = self
            .sql
            .exec("INSERT INTO used (id, until) VALUES (?, ?) ON CONFLICT DO NOTHING", vec![id.into(), until.into()])?;
        inserted.to_array::<Count>()?;
        Ok(if inserted.rows_written() > 0 { Use::First } else { Use::Again })
    }

    async fn wake_at(&self, second: u64, now: u64) -> Result<()> {
        self.storage.set_alarm(Duration::from_secs(second.saturating_sub(now) + 1)).await
    }

    fn prepare(&self) -> Result<()> {
        self.sql.exec(
            "CREATE TABLE IF NOT EXISTS used (id TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID",
            None,
        )?;
        Ok(())
    }

    fn forget(&self, now: u64) -> Result<()> {
        let now = i32::try_from(now).unwrap_or(i32::MAX);
        self.sql.exec("DELETE FROM used WHERE until <= ?", vec![now.into()])?;
        Ok(())
    }

    fn count(&self, query: &str) -> Result<usize> {
        self.sql.exec(query, None)?.one::<Count>().map(|row| row.count)
    }
}

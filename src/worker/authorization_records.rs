//! The records of the authorization server: one object for each record, so that no request waits for a request to
//! another record.

use std::time::Duration;

use serde::Deserialize;
use worker::{DurableObject, Env, Request, Response, Result, SqlStorage, State, Storage, durable_object};

use crate::authorization_server::state::{self, Change};
use crate::limits::RECORD_QUESTION_BYTES;

/// A Durable Object that keeps one record and answers requests to it. It writes the changes of a request before the
/// answer leaves: the platform holds an answer back until its writes are durable.
#[durable_object(alarm)]
pub struct AuthorizationRecords {
    storage: Storage,
    sql: SqlStorage,
}

#[derive(Deserialize)]
struct Row {
    text: String,
    until: String,
}

#[derive(Deserialize)]
struct Table {
    #[serde(rename = "name")]
    _name: String,
}

impl DurableObject for AuthorizationRecords {
    fn new(state: State, _: Env) -> Self {
        let storage = state.storage();
        let sql = storage.sql();
        Self { storage, sql }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let question = request.text().await?;
        if question.len() > RECORD_QUESTION_BYTES {
            return Response::error("too large", 413);
        }
        // From here until the write there is no await, so no other request can run in between.
        let row = self.row()?;
        let now = worker::Date::now().as_millis() / 1000;
        let (answer, change) = match state::answer(row.as_ref().map(|row| row.text.as_str()), &question, now) {
            Ok(answered) => answered,
            Err(error) => return Response::error(error.to_string(), 400),
        };
        match change {
            Change::None => {}
            Change::Forget => {
                self.sql.exec("DELETE FROM record", None)?;
            }
            Change::Keep(text, until) => {
                self.sql.exec(
                    "CREATE TABLE IF NOT EXISTS record \
                     (one INTEGER PRIMARY KEY CHECK (one = 1), text TEXT NOT NULL, until TEXT NOT NULL)",
                    None,
                )?;
                let until = until.to_string();
                let moved = row.is_none_or(|row| row.until != until);
                let values = vec![text.into(), until.as_str().into()];
                self.sql.exec("INSERT OR REPLACE INTO record (one, text, until) VALUES (1, ?, ?)", values)?;
                if moved {
                    self.wake_at(&until, now).await?;
                }
            }
        }
        Response::ok(answer)
    }

    /// Deletes the record when it has expired.
    async fn alarm(&self) -> Result<Response> {
        let now = worker::Date::now().as_millis() / 1000;
        match self.row()? {
            Some(row) if row.until.parse().is_ok_and(|until: u64| now < until) => self.wake_at(&row.until, now).await?,
            _ => self.storage.delete_all().await?,
        }
        Response::empty()
    }
}

impl AuthorizationRecords {
    /// The record, if there is one. This function writes nothing, so that requests for names that do not exist leave
    /// nothing behind.
    fn row(&self) -> Result<Option<Row>> {
        let tables = self.sql.exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'record'", None)?;
        if tables.to_array::<Table>()?.is_empty() {
            return Ok(None);
        }
        Ok(self.sql.exec("SELECT text, until FROM record", None)?.to_array::<Row>()?.pop())
    }

    async fn wake_at(&self, until: &str, now: u64) -> Result<()> {
        let until: u64 = until.parse().unwrap_or(now);
        self.storage.set_alarm(Duration::from_secs(until.saturating_sub(now) + 1)).await
    }
}

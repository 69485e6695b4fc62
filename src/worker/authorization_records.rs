//! The records of the authorization server: one object for each, so that a question waits for nobody else's.

use std::time::Duration;

use serde::Deserialize;
use worker::{DurableObject, Env, Request, Response, Result, SqlStorage, State, Storage, durable_object};

use crate::authorization_server::state::{self, Change};
use crate::limits::RECORD_QUESTION_BYTES;

/// A Durable Object that keeps one record and answers questions to it. What a question changes is written before its answer
/// leaves: the platform holds an answer back until its writes are durable.
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
        // From here to the write nothing awaits: no other question comes in between.
        let row = self.row()?;
        let now = worker::Date::now().as_millis() / 1000;
        let (answer, change) = match state::answer(row.as_ref().map(|row| row.text.as_str()), &question, now) {
            Ok(answered) => answered,
            Err(why) => return Response::error(why, 400),
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

    /// Clears away what has had its time.
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
    /// The record. Asking for one that is not there writes nothing: whoever asks for names that nobody has leaves nothing.
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

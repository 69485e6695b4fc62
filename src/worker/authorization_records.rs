//! The records of the authorization server: one object for each record, so that no request waits for a request to
//! another record.

use std::time::Duration;

use serde::Deserialize;
use worker::{DurableObject, Env, Request, Response, Result, SqlStorage, State, Storage, durable_object};

use crate::authorization_server::state::{self, Change, FIRST_VERSION, StoredRecord};
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
    /// Release 0.1 had no such column.
    version: Option<String>,
}

impl Row {
    fn record(self) -> StoredRecord {
        // A version that is no number counts as none, and the record is refused.
        let version = self.version.map_or(FIRST_VERSION, |version| version.parse().unwrap_or_default());
        StoredRecord { version, text: self.text }
    }
}

#[derive(Deserialize)]
struct Table {
    sql: String,
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
        let before = row.as_ref().map(|row| row.until.clone());
        let record = row.map(Row::record);
        let (answer, change) = match state::answer(record.as_ref(), &question, now) {
            Ok(answered) => answered,
            Err(error) => return Response::error(error.to_string(), 400),
        };
        match change {
            Change::None => {}
            Change::Forget => {
                self.sql.exec("DELETE FROM record", None)?;
            }
            Change::Keep(record, until) => {
                self.prepare()?;
                let until = until.to_string();
                let moved = before.is_none_or(|before| before != until);
                let values = vec![record.text.into(), until.as_str().into(), record.version.to_string().into()];
                let insert = "INSERT OR REPLACE INTO record (one, text, until, version) VALUES (1, ?, ?, ?)";
                self.sql.exec(insert, values)?;
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

impl Table {
    fn has_version(&self) -> bool {
        self.sql.contains("version")
    }
}

impl AuthorizationRecords {
    /// The record, if there is one. This function writes nothing, so that requests for names that do not exist leave
    /// nothing behind.
    fn row(&self) -> Result<Option<Row>> {
        let query = match self.table()? {
            None => return Ok(None),
            Some(table) if table.has_version() => "SELECT text, until, version FROM record",
            Some(_) => "SELECT text, until, NULL AS version FROM record",
        };
        Ok(self.sql.exec(query, None)?.to_array::<Row>()?.pop())
    }

    /// The table of the record, if there is one.
    fn table(&self) -> Result<Option<Table>> {
        let tables = self.sql.exec("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'record'", None)?;
        Ok(tables.to_array::<Table>()?.pop())
    }

    /// Makes the table. One of release 0.1 gets the column of the version, in which that release would write the default: the
    /// version of the records that it writes.
    fn prepare(&self) -> Result<()> {
        let statement = match self.table()? {
            None => {
                "CREATE TABLE record (one INTEGER PRIMARY KEY CHECK (one = 1), text TEXT NOT NULL, until TEXT NOT NULL, \
                 version TEXT NOT NULL DEFAULT '1')"
            }
            Some(table) if table.has_version() => return Ok(()),
            Some(_) => "ALTER TABLE record ADD COLUMN version TEXT NOT NULL DEFAULT '1'",
        };
        self.sql.exec(statement, None)?;
        Ok(())
    }

    async fn wake_at(&self, until: &str, now: u64) -> Result<()> {
        let until: u64 = until.parse().unwrap_or(now);
        self.storage.set_alarm(Duration::from_secs(until.saturating_sub(now) + 1)).await
    }
}

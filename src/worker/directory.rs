//! A directory of users and groups: one object for each, with its tables in `SQLite`.

use std::cell::Cell;

use serde::Deserialize;
use worker::{DurableObject, Env, Request, Response, Result, SqlStorage, SqlStorageValue, State, durable_object};

use crate::directory::group::Group;
use crate::directory::links::{Change, Link, LinkedTables, PendingChange, Which};
use crate::directory::object::handle;
use crate::directory::tables::{GroupSelection, Page, Tables, TablesError, UserKeys, UserSelection};
use crate::directory::user::User;
use crate::limits::DIRECTORY_QUESTION_BYTES;
use crate::strict_json::{self, fold};

/// The tables. `number` is the order of creation, and is never used twice.
const LAYOUT: [&str; 13] = [
    "CREATE TABLE IF NOT EXISTS users (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, external_id TEXT UNIQUE, \
     user_name TEXT NOT NULL UNIQUE, display_name TEXT, data TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS users_by_name ON users (display_name)",
    "CREATE TABLE IF NOT EXISTS emails (address TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (address, number)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS emails_of_user ON emails (number)",
    "CREATE TABLE IF NOT EXISTS groups (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, external_id TEXT UNIQUE, \
     display_name TEXT NOT NULL UNIQUE, data TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS members (group_number INTEGER NOT NULL, user_number INTEGER NOT NULL, \
     PRIMARY KEY (group_number, user_number)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS members_of_user ON members (user_number, group_number)",
    "CREATE TABLE IF NOT EXISTS links (subject TEXT PRIMARY KEY, user TEXT, name TEXT NOT NULL, retired INTEGER NOT NULL, \
     until INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS changes (number INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, change TEXT NOT NULL, \
     at INTEGER NOT NULL, urgent INTEGER NOT NULL, UNIQUE (subject, change))",
    "CREATE INDEX IF NOT EXISTS links_of_user ON links (user)",
    "CREATE INDEX IF NOT EXISTS links_of_name ON links (name)",
    "CREATE INDEX IF NOT EXISTS links_by_end ON links (until)",
    "CREATE INDEX IF NOT EXISTS changes_in_order ON changes (urgent, number)",
];

/// A Durable Object that keeps a directory. It checks a request before it writes anything, and the platform holds the answer back
/// until the writes are durable.
#[durable_object]
pub struct Directory {
    sql: SqlStorage,
    has_tables: Cell<bool>,
}

impl DurableObject for Directory {
    fn new(state: State, _: Env) -> Self {
        Self { sql: state.storage().sql(), has_tables: Cell::new(false) }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let question = request.text().await?;
        if question.len() > DIRECTORY_QUESTION_BYTES {
            return Response::error("too large", 413);
        }
        // From here there is no await, so no other request can run in between.
        let mut tables = SqlTables { sql: &self.sql };
        if !self.has_tables.get() {
            if let Err(error) = tables.prepare() {
                return Response::error(error.to_string(), 500);
            }
            self.has_tables.set(true);
        }
        let answered = handle(&mut tables, &question, worker::Date::now().as_millis() / 1000);
        match answered {
            Ok(answer) => Response::ok(answer),
            Err(error) => Response::error(error.to_string(), 500),
        }
    }
}

type StoreResult<T> = std::result::Result<T, TablesError>;

struct SqlTables<'a> {
    sql: &'a SqlStorage,
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

#[derive(Deserialize)]
struct Count {
    count: f64,
}

#[derive(Deserialize)]
struct LinkRow {
    user: Option<String>,
    name: String,
}

#[derive(Deserialize)]
struct ChangeRow {
    number: f64,
    subject: String,
    change: String,
    at: f64,
}

/// The part of a statement that selects: what follows `FROM`, and what the one parameter is.
type Selected<'a> = (&'static str, Option<&'a str>);

fn failed(error: impl ToString) -> TablesError {
    TablesError(error.to_string())
}

/// `SQLite` has 64-bit integers, and JavaScript passes them on as doubles: numbers here are far below 2^53.
fn number(value: u64) -> SqlStorageValue {
    SqlStorageValue::from(i64::try_from(value).unwrap_or(i64::MAX))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and numbers are positive and below 2^53"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

fn list(values: &[String]) -> SqlStorageValue {
    serde_json::Value::from(values.to_vec()).to_string().into()
}

fn optional(value: Option<String>) -> SqlStorageValue {
    value.map_or(SqlStorageValue::Null, SqlStorageValue::from)
}

impl SqlTables<'_> {
    fn prepare(&self) -> StoreResult<()> {
        LAYOUT.iter().try_for_each(|statement| self.run(statement, Vec::new()))
    }

    fn run(&self, statement: &str, values: Vec<SqlStorageValue>) -> StoreResult<()> {
        self.sql.exec(statement, values).map(drop).map_err(failed)
    }

    fn rows<T: for<'de> Deserialize<'de>>(&self, statement: &str, values: Vec<SqlStorageValue>) -> StoreResult<Vec<T>> {
        self.sql.exec(statement, values).and_then(|cursor| cursor.to_array::<T>()).map_err(failed)
    }

    fn texts(&self, statement: &str, values: Vec<SqlStorageValue>) -> StoreResult<Vec<String>> {
        Ok(self.rows::<Text>(statement, values)?.into_iter().map(|row| row.text).collect())
    }

    fn count(&self, (from, value): Selected<'_>) -> StoreResult<u64> {
        let values = value.map(SqlStorageValue::from).into_iter().collect();
        let rows = self.rows::<Count>(&format!("SELECT count(*) AS count FROM {from}"), values)?;
        Ok(rows.first().map_or(0, |row| whole(row.count)))
    }

    /// The data of what is selected, in the order of creation.
    fn page<T: for<'de> Deserialize<'de>>(
        &self,
        (column, order): (&str, &str),
        (from, value): Selected<'_>,
        page: Page,
    ) -> StoreResult<Vec<T>> {
        let mut values: Vec<SqlStorageValue> = value.map(SqlStorageValue::from).into_iter().collect();
        values.extend([number(page.limit), number(page.offset)]);
        let statement = format!("SELECT {column} AS text FROM {from} ORDER BY {order} LIMIT ? OFFSET ?");
        let texts = self.texts(&statement, values)?;
        texts.iter().map(|text| strict_json::read(text.as_bytes()).map_err(failed)).collect()
    }

    fn write_emails(&self, user: &User) -> StoreResult<()> {
        self.run(
            "DELETE FROM emails WHERE number = (SELECT number FROM users WHERE id = ?)",
            vec![user.id.as_str().into()],
        )?;
        let keys: Vec<String> = user.data.emails.iter().map(crate::directory::user::Email::key).collect();
        self.run(
            "INSERT OR IGNORE INTO emails SELECT value, (SELECT number FROM users WHERE id = ?) FROM json_each(?)",
            vec![user.id.as_str().into(), list(&keys)],
        )
    }

    /// The columns of a user: external id, user name, name for display, data, id.
    fn columns_of_user(user: &User) -> StoreResult<Vec<SqlStorageValue>> {
        Ok(vec![
            optional(user.data.external_id.clone()),
            user.data.user_name_key().into(),
            optional(user.data.display_name.as_deref().map(fold)),
            serde_json::to_string(user).map_err(failed)?.into(),
            user.id.as_str().into(),
        ])
    }

    /// The columns of a group: external id, name, data, id.
    fn columns_of_group(group: &Group) -> StoreResult<Vec<SqlStorageValue>> {
        Ok(vec![
            optional(group.data.external_id.clone()),
            group.data.display_name_key().into(),
            serde_json::to_string(group).map_err(failed)?.into(),
            group.id.as_str().into(),
        ])
    }
}

fn of_users(selection: UserSelection<'_>) -> Selected<'_> {
    match selection {
        UserSelection::All => ("users", None),
        UserSelection::Id(id) => ("users WHERE id = ?", Some(id)),
        UserSelection::UserName(key) => ("users WHERE user_name = ?", Some(key)),
        UserSelection::ExternalId(id) => ("users WHERE external_id = ?", Some(id)),
        UserSelection::DisplayName(key) => ("users WHERE display_name = ?", Some(key)),
        UserSelection::Email(key) => ("emails JOIN users USING (number) WHERE address = ?", Some(key)),
        UserSelection::InGroup(id) => (
            "members JOIN users ON number = user_number WHERE group_number = (SELECT number FROM groups WHERE id = ?)",
            Some(id),
        ),
    }
}

fn of_groups(selection: GroupSelection<'_>) -> Selected<'_> {
    match selection {
        GroupSelection::All => ("groups", None),
        GroupSelection::Id(id) => ("groups WHERE id = ?", Some(id)),
        GroupSelection::DisplayName(key) => ("groups WHERE display_name = ?", Some(key)),
        GroupSelection::ExternalId(id) => ("groups WHERE external_id = ?", Some(id)),
        GroupSelection::OfMember(id) => (
            "members JOIN groups ON number = group_number WHERE user_number = (SELECT number FROM users WHERE id = ?)",
            Some(id),
        ),
    }
}

impl Tables for SqlTables<'_> {
    fn users(&self, selection: UserSelection<'_>, page: Page) -> StoreResult<Vec<User>> {
        self.page(("users.data", "users.number"), of_users(selection), page)
    }

    fn count_users(&self, selection: UserSelection<'_>) -> StoreResult<u64> {
        self.count(of_users(selection))
    }

    fn user_keys(&self, ids: &[String]) -> StoreResult<Vec<UserKeys>> {
        let statement = "SELECT data AS text FROM users WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id";
        let texts = self.texts(statement, vec![list(ids)])?;
        let read = |text: &String| strict_json::read::<User>(text.as_bytes()).map_err(failed);
        texts.iter().map(|text| read(text).map(|user| UserKeys::of(&user))).collect()
    }

    fn insert_user(&mut self, user: &User) -> StoreResult<()> {
        let statement = "INSERT INTO users (external_id, user_name, display_name, data, id) VALUES (?, ?, ?, ?, ?)";
        self.run(statement, Self::columns_of_user(user)?)?;
        self.write_emails(user)
    }

    fn update_user(&mut self, user: &User) -> StoreResult<()> {
        let statement = "UPDATE users SET external_id = ?, user_name = ?, display_name = ?, data = ? WHERE id = ?";
        self.run(statement, Self::columns_of_user(user)?)?;
        self.write_emails(user)
    }

    fn delete_user(&mut self, id: &str) -> StoreResult<()> {
        for statement in [
            "DELETE FROM members WHERE user_number = (SELECT number FROM users WHERE id = ?)",
            "DELETE FROM emails WHERE number = (SELECT number FROM users WHERE id = ?)",
            "DELETE FROM users WHERE id = ?",
        ] {
            self.run(statement, vec![id.into()])?;
        }
        Ok(())
    }

    fn groups(&self, selection: GroupSelection<'_>, page: Page) -> StoreResult<Vec<Group>> {
        self.page(("groups.data", "groups.number"), of_groups(selection), page)
    }

    fn count_groups(&self, selection: GroupSelection<'_>) -> StoreResult<u64> {
        self.count(of_groups(selection))
    }

    fn insert_group(&mut self, group: &Group) -> StoreResult<()> {
        let statement = "INSERT INTO groups (external_id, display_name, data, id) VALUES (?, ?, ?, ?)";
        self.run(statement, Self::columns_of_group(group)?)
    }

    fn update_group(&mut self, group: &Group) -> StoreResult<()> {
        let statement = "UPDATE groups SET external_id = ?, display_name = ?, data = ? WHERE id = ?";
        self.run(statement, Self::columns_of_group(group)?)
    }

    fn delete_group(&mut self, id: &str) -> StoreResult<()> {
        for statement in [
            "DELETE FROM members WHERE group_number = (SELECT number FROM groups WHERE id = ?)",
            "DELETE FROM groups WHERE id = ?",
        ] {
            self.run(statement, vec![id.into()])?;
        }
        Ok(())
    }

    fn members(&self, group: &str) -> StoreResult<Vec<String>> {
        let statement = "SELECT users.id AS text FROM members JOIN users ON number = user_number \
             WHERE group_number = (SELECT number FROM groups WHERE id = ?) ORDER BY users.id";
        self.texts(statement, vec![group.into()])
    }

    fn count_members(&self, group: &str) -> StoreResult<u64> {
        self.count(("members WHERE group_number = (SELECT number FROM groups WHERE id = ?)", Some(group)))
    }

    fn members_among(&self, group: &str, ids: &[String]) -> StoreResult<Vec<String>> {
        let statement = "SELECT id AS text FROM users WHERE id IN (SELECT value FROM json_each(?)) AND EXISTS (SELECT 1 FROM members \
             WHERE group_number = (SELECT number FROM groups WHERE groups.id = ?) AND user_number = users.number) ORDER BY id";
        self.texts(statement, vec![list(ids), group.into()])
    }

    fn add_members(&mut self, group: &str, users: &[String]) -> StoreResult<()> {
        let statement = "INSERT OR IGNORE INTO members SELECT (SELECT number FROM groups WHERE groups.id = ?), users.number \
             FROM json_each(?) JOIN users ON users.id = value";
        self.run(statement, vec![group.into(), list(users)])
    }

    fn remove_members(&mut self, group: &str, users: &[String]) -> StoreResult<()> {
        let statement = "DELETE FROM members WHERE group_number = (SELECT number FROM groups WHERE id = ?) \
             AND user_number IN (SELECT users.number FROM json_each(?) JOIN users ON users.id = value)";
        self.run(statement, vec![group.into(), list(users)])
    }
}

impl LinkedTables for SqlTables<'_> {
    fn tables(&mut self) -> &mut dyn Tables {
        self
    }

    fn link(&mut self, subject: &str, link: &Link, seconds: (u64, u64)) -> StoreResult<()> {
        let (until, now) = seconds;
        self.run("DELETE FROM links WHERE until <= ?", vec![number(now)])?;
        let statement = "INSERT OR REPLACE INTO links (subject, user, name, retired, until) VALUES (?, ?, ?, 0, ?)";
        let values = vec![subject.into(), optional(link.user.clone()), link.name.as_str().into(), number(until)];
        self.run(statement, values)
    }

    fn retire(&mut self, subject: &str) -> StoreResult<()> {
        self.run("UPDATE links SET retired = 1 WHERE subject = ?", vec![subject.into()])
    }

    fn linked(&self, subject: &str) -> StoreResult<Option<Link>> {
        let statement = "SELECT user, name FROM links WHERE subject = ? AND retired = 0";
        let row = self.rows::<LinkRow>(statement, vec![subject.into()])?.pop();
        Ok(row.map(|row| Link { user: row.user, name: row.name }))
    }

    fn subjects(&self, user: &str) -> StoreResult<Vec<String>> {
        self.texts("SELECT subject AS text FROM links WHERE user = ?", vec![user.into()])
    }

    fn waiting(&self, name: &str) -> StoreResult<Vec<String>> {
        let statement = "SELECT subject AS text FROM links WHERE name = ? AND user IS NULL AND retired = 0";
        self.texts(statement, vec![name.into()])
    }

    fn newest(&self) -> StoreResult<u64> {
        let statement = "SELECT COALESCE(MAX(seq), 0) AS count FROM sqlite_sequence WHERE name = 'changes'";
        Ok(self.rows::<Count>(statement, Vec::new())?.first().map_or(0, |row| whole(row.count)))
    }

    fn push(&mut self, subject: &str, change: Change, at: u64) -> StoreResult<()> {
        let text = serde_json::to_string(&change).map_err(failed)?;
        self.run(
            "INSERT OR REPLACE INTO changes (subject, change, at, urgent) VALUES (?, ?, ?, ?)",
            vec![subject.into(), text.into(), number(at), number(u64::from(change.is_urgent()))],
        )
    }

    fn pending(&self, which: Which<'_>, limit: usize) -> StoreResult<Vec<PendingChange>> {
        let (tail, value) = match which {
            Which::Of(subject) => ("WHERE subject = ? ORDER BY number", subject.into()),
            Which::After(after) => ("ORDER BY urgent DESC, number > ? DESC, number", number(after)),
        };
        let statement = format!("SELECT number, subject, change, at FROM changes {tail} LIMIT ?");
        let rows = self.rows::<ChangeRow>(&statement, vec![value, number(limit as u64)])?;
        let read = |row: ChangeRow| {
            let change = strict_json::read(row.change.as_bytes()).map_err(failed)?;
            Ok(PendingChange { number: whole(row.number), subject: row.subject, change, at: whole(row.at) })
        };
        rows.into_iter().map(read).collect()
    }

    fn applied(&mut self, number: u64) -> StoreResult<()> {
        self.run("DELETE FROM changes WHERE number = ?", vec![self::number(number)])
    }
}

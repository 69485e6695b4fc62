//! A user: which clients the user approved, and the grants that resulted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Hash, Migration, RecordStateMachine, is_default};
use crate::limits::{CLOCKS_APART, CONNECTION_LISTED_SECONDS, GRANTS_OF_ONE_CLIENT, GRANTS_OF_ONE_SUBJECT, SIGN_OUTS};

/// A grant in the list of its subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// The client's id.
    pub client_id: String,
    /// The client's name, as the client stated it.
    pub client_name: String,
    /// The granted scopes.
    pub scope: String,
    /// The resource identifier.
    pub resource: String,
    /// The second at which it began.
    pub created: u64,
    /// The second at which it ends in any case.
    pub until: u64,
}

/// What a user approved for a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The redirect URI of the client.
    pub redirect_uri: String,
    /// The resource identifier.
    pub resource: String,
    /// The approved scopes.
    pub scopes: Vec<String>,
    /// The second from which the gateway asks the user again.
    pub until: u64,
}

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserRecord {
    /// Grants by id.
    grants: BTreeMap<String, Listed>,
    /// Approvals, by client; one for each redirect URI and resource.
    approvals: Vec<(String, Approval)>,
    /// Grows when the gateway ends all sign-ins: those with a smaller number are no longer valid.
    epoch: u64,
    /// The second until which this number must be remembered.
    epoch_until: u64,
    /// The resources for which the user connected an account, and the second from which each is forgotten.
    connections: BTreeMap<String, u64>,
    // What release 0.1 does not know is stored only where it says something, so that a rollback can read most users.
    /// Access tokens without a grant that were issued before this second are not accepted.
    #[serde(default, skip_serializing_if = "is_default")]
    ended_before: u64,
    /// The last second before which sessions ended.
    #[serde(default, skip_serializing_if = "is_default")]
    sessions_ended: u64,
    /// Sign-ins that were ended one by one, by the hash of their cookie, and the second from which each is over anyway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    signed_out: Vec<(Hash, u64)>,
}

/// Questions about a user.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum UserQuestion {
    /// A grant with this id was made, and this was approved for it.
    Granted(String, Box<Listed>, Box<Approval>),
    /// Reads everything about the user.
    Read,
    /// A grant has ended.
    Ended(String),
    /// The user connects an account for the resource with this identifier.
    Connected(String),
    /// That connection has ended.
    Disconnected(String),
    /// Revokes the approval of a client. The caller must end its grants; each is listed until it has ended.
    Withdraw(String),
    /// Ends a sign-in, by the hash of its cookie. It is over anyway at this second.
    SignOut(Hash, u64),
    /// Sessions that began before this second have ended. The caller must end the grants that began before it; each is listed until
    /// it has ended.
    EndBefore(u64),
    /// Access tokens without a grant that were issued before this second are not accepted any more.
    Stale(u64),
    /// Revokes all approvals and ends all sign-ins. The caller must end all grants and connections; each is listed until it has ended.
    Forget,
}

/// What is stored about a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserData {
    /// Grants by id.
    pub grants: BTreeMap<String, Listed>,
    /// Approvals by client.
    pub approvals: Vec<(String, Approval)>,
    /// The number of the sign-ins that are valid.
    pub epoch: u64,
    /// Access tokens without a grant that were issued before this second are not accepted.
    pub ended_before: u64,
    /// Sign-ins that were ended one by one, by the hash of their cookie.
    pub signed_out: Vec<Hash>,
    /// Grants that the caller must end.
    pub ended: Vec<String>,
    /// The resources for which the user connected an account. The configuration may have lost some of them since.
    pub connections: Vec<String>,
}

impl UserRecord {
    fn known(&self, ended: Vec<String>) -> UserData {
        let connections = self.connections.keys().cloned().collect();
        let (grants, approvals) = (self.grants.clone(), self.approvals.clone());
        UserData {
            grants,
            approvals,
            epoch: self.epoch,
            ended_before: self.ended_before,
            signed_out: self.signed_out.iter().map(|(hash, _)| hash.clone()).collect(),
            ended,
            connections,
        }
    }

    /// Ends sign-ins, and access tokens without a grant, that began before this second.
    fn end_sign_ins(&mut self, second: u64, now: u64) {
        self.ended_before = self.ended_before.max(second);
        // An event that arrives again, or after a later one, ends no other sign-ins.
        if second > self.sessions_ended {
            self.sessions_ended = second;
            self.epoch += 1;
        }
        self.epoch_until = self.epoch_until.max(now + 86_400);
    }

    fn tidy(&mut self, now: u64) {
        self.grants.retain(|_, grant| now < grant.until);
        self.approvals.retain(|(_, approval)| now < approval.until);
        self.connections.retain(|_, until| now < *until);
        self.signed_out.retain(|(_, until)| now < *until);
    }

    fn connected(&mut self, resource: String, now: u64) {
        self.connections.insert(resource, now + CONNECTION_LISTED_SECONDS);
        if self.connections.len() > GRANTS_OF_ONE_SUBJECT {
            let oldest = self.connections.iter().min_by_key(|(_, until)| **until).map(|(resource, _)| resource.clone());
            oldest.and_then(|oldest| self.connections.remove(&oldest));
        }
    }

    /// Adds a grant, and returns the grants that are too many: first those of the same client, so that no single client
    /// can displace the grants of others.
    fn granted(&mut self, id: String, grant: Listed, approval: Approval) -> Vec<String> {
        let client = grant.client_id.clone();
        self.grants.insert(id, grant);
        let same = |(of, other): &(String, Approval)| {
            *of == client && other.redirect_uri == approval.redirect_uri && other.resource == approval.resource
        };
        match self.approvals.iter_mut().find(|entry| same(entry)) {
            Some((_, known)) => {
                known.until = approval.until;
                for scope in approval.scopes {
                    if !known.scopes.contains(&scope) {
                        known.scopes.push(scope);
                    }
                }
            }
            None => self.approvals.push((client.clone(), approval)),
        }
        if self.approvals.len() > GRANTS_OF_ONE_SUBJECT {
            let own = self.approvals.iter().position(|(of, _)| *of == client).unwrap_or_default();
            self.approvals.remove(own);
        }
        let mut ended = self.oldest(|listed| listed.client_id == client, GRANTS_OF_ONE_CLIENT);
        ended.extend(self.oldest(|_| true, GRANTS_OF_ONE_SUBJECT + ended.len()));
        ended
    }

    /// The oldest grants for which `of` holds, beyond the number `most`.
    fn oldest(&self, of: impl Fn(&Listed) -> bool, most: usize) -> Vec<String> {
        let mut found: Vec<(u64, &String)> =
            self.grants.iter().filter(|(_, grant)| of(grant)).map(|(id, grant)| (grant.created, id)).collect();
        found.sort_unstable();
        let beyond = found.len().saturating_sub(most);
        found.into_iter().take(beyond).map(|(_, id)| id.clone()).collect()
    }
}

impl RecordStateMachine for UserRecord {
    const KIND: &'static str = "subject";
    const MIGRATIONS: &'static [Migration] = &[
        // A record of version 1 has the connections only if the Worker that wrote it knew them.
        |record| {
            record.entry("connections").or_insert_with(|| Value::Object(Map::new()));
        },
        // A user of version 3 may have more than a Worker of the version before would read.
        |_| {},
    ];
    type Question = UserQuestion;
    type Answer = UserData;

    fn answer(record: Option<Self>, question: UserQuestion, now: u64) -> (UserData, Option<Self>) {
        let mut person = record.unwrap_or_default();
        person.tidy(now);
        let ended = match question {
            UserQuestion::Granted(id, grant, approval) => person.granted(id, *grant, *approval),
            UserQuestion::Read => Vec::new(),
            UserQuestion::Ended(id) => {
                person.grants.remove(&id);
                Vec::new()
            }
            UserQuestion::Connected(resource) => {
                person.connected(resource, now);
                Vec::new()
            }
            UserQuestion::Disconnected(resource) => {
                person.connections.remove(&resource);
                Vec::new()
            }
            UserQuestion::Withdraw(client) => {
                person.approvals.retain(|(of, _)| *of != client);
                let own = person.grants.iter().filter(|(_, grant)| grant.client_id == client);
                own.map(|(id, _)| id.clone()).collect()
            }
            UserQuestion::SignOut(hash, until) => {
                person.signed_out.push((hash, until));
                if person.signed_out.len() > SIGN_OUTS {
                    person.signed_out.remove(0);
                    // The oldest is forgotten: nothing that is as old as it may be valid.
                    person.epoch += 1;
                    person.epoch_until = person.epoch_until.max(now + 86_400);
                }
                Vec::new()
            }
            UserQuestion::EndBefore(second) => {
                person.end_sign_ins(second, now);
                let old = person.grants.iter().filter(|(_, grant)| grant.created < second);
                old.map(|(id, _)| id.clone()).collect()
            }
            UserQuestion::Stale(second) => {
                // Groups of a sign-in may be what was.
                person.end_sign_ins(second, now);
                Vec::new()
            }
            UserQuestion::Forget => {
                person.approvals.clear();
                person.epoch += 1;
                person.epoch_until = now + 86_400;
                // The clock with which a token was issued may be ahead.
                person.ended_before = now + CLOCKS_APART;
                person.grants.keys().cloned().collect()
            }
        };
        let nothing = person.grants.is_empty()
            && person.approvals.is_empty()
            && person.connections.is_empty()
            && person.signed_out.is_empty();
        let empty = nothing && person.epoch_until <= now;
        (person.known(ended), (!empty).then_some(person))
    }

    fn until(&self) -> u64 {
        let grants = self.grants.values().map(|grant| grant.until);
        let approvals = self.approvals.iter().map(|(_, approval)| approval.until);
        // A sign-in lasts for a day at most.
        let connections = self.connections.values().copied();
        let signed_out = self.signed_out.iter().map(|(_, until)| *until);
        let all = grants.chain(approvals).chain(connections).chain(signed_out);
        all.chain([self.epoch_until]).max().unwrap_or_default()
    }
}

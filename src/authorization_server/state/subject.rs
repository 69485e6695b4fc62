//! A person: which clients they approved, and the grants that came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Machine;
use crate::limits::GRANTS_OF_ONE_SUBJECT;

/// A grant in the list of its subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// The client's id.
    pub client_id: String,
    /// The client's name, as it said.
    pub client_name: String,
    /// What is granted.
    pub scope: String,
    /// Where.
    pub resource: String,
    /// The second at which it began.
    pub created: u64,
    /// The second at which it ends at the latest.
    pub until: u64,
}

/// What a person approved for a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Where the client gets its codes.
    pub redirect_uri: String,
    /// Where it may use them.
    pub resource: String,
    /// For what.
    pub scopes: Vec<String>,
    /// The second from which on it is asked for again.
    pub until: u64,
}

/// A person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Grants by id.
    grants: BTreeMap<String, Listed>,
    /// Approvals, by client, place and resource.
    approvals: Vec<(String, Approval)>,
    /// Sign-ins before this second are over.
    signed_out: u64,
}

/// Questions about a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum PersonQuestion {
    /// A grant was given, of this id; and what was approved for it.
    Granted(String, Box<Listed>, Box<Approval>),
    /// Everything about them.
    Look,
    /// A grant is over.
    Ended(String),
    /// A client is not to have anything any more.
    Withdraw(String),
    /// Nothing is to be known of them any more, and sign-ins are over.
    Forget,
}

/// What is known of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// Grants by id.
    pub grants: BTreeMap<String, Listed>,
    /// Approvals by client.
    pub approvals: Vec<(String, Approval)>,
    /// Sign-ins before this second are over.
    pub signed_out: u64,
    /// Grants that are to be ended.
    pub ended: Vec<String>,
}

impl Person {
    fn known(&self, ended: Vec<String>) -> Known {
        Known { grants: self.grants.clone(), approvals: self.approvals.clone(), signed_out: self.signed_out, ended }
    }

    fn tidy(&mut self, now: u64) {
        self.grants.retain(|_, grant| now < grant.until);
        self.approvals.retain(|(_, approval)| now < approval.until);
    }

    /// Adds a grant; the oldest go where there are too many.
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
            None => self.approvals.push((client, approval)),
        }
        if self.approvals.len() > GRANTS_OF_ONE_SUBJECT {
            self.approvals.remove(0);
        }
        let mut ended = Vec::new();
        while self.grants.len() > GRANTS_OF_ONE_SUBJECT {
            let oldest = self.grants.iter().min_by_key(|(_, grant)| grant.created).map(|(id, _)| id.clone());
            let Some(oldest) = oldest else { break };
            self.grants.remove(&oldest);
            ended.push(oldest);
        }
        ended
    }
}

impl Machine for Person {
    const KIND: &'static str = "subject";
    type Question = PersonQuestion;
    type Answer = Known;

    fn answer(record: Option<Self>, question: PersonQuestion, now: u64) -> (Known, Option<Self>) {
        let mut person = record.unwrap_or_default();
        person.tidy(now);
        let ended = match question {
            PersonQuestion::Granted(id, grant, approval) => person.granted(id, *grant, *approval),
            PersonQuestion::Look => Vec::new(),
            PersonQuestion::Ended(id) => {
                person.grants.remove(&id);
                Vec::new()
            }
            PersonQuestion::Withdraw(client) => {
                person.approvals.retain(|(of, _)| *of != client);
                let ended: Vec<String> = person
                    .grants
                    .iter()
                    .filter(|(_, grant)| grant.client_id == client)
                    .map(|(id, _)| id.clone())
                    .collect();
                person.grants.retain(|_, grant| grant.client_id != client);
                ended
            }
            PersonQuestion::Forget => {
                let ended = person.grants.keys().cloned().collect();
                person = Self { signed_out: now + 1, ..Self::default() };
                ended
            }
        };
        let empty = person.grants.is_empty() && person.approvals.is_empty() && person.signed_out == 0;
        (person.known(ended), (!empty).then_some(person))
    }

    fn until(&self) -> u64 {
        let grants = self.grants.values().map(|grant| grant.until);
        let approvals = self.approvals.iter().map(|(_, approval)| approval.until);
        // Sign-ins last a day at most.
        grants.chain(approvals).chain([self.signed_out + 86_400]).max().unwrap_or_default()
    }
}

//! A device that waits for its user, who decides on another device (RFC 8628). The record is named by the user code.

use serde::{Deserialize, Serialize};

use super::{Hash, RecordStateMachine};
use crate::authorization_server::authorize::AuthorizationRequest;
use crate::limits::{DEVICE_INTERVAL, DEVICE_LAST_SECONDS, DEVICE_SLOW_DOWN};

/// What is known of the device, for its user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// What it asks for.
    pub request: AuthorizationRequest,
    /// The network from which it asks; empty if the platform does not say.
    pub network: String,
    /// Its country (ISO 3166-1 alpha-2), if the platform says.
    pub country: Option<String>,
    /// The second at which it asked.
    pub since: u64,
    /// The second at which its code expires.
    pub until: u64,
    /// The hash of the secret in its device code.
    secret: Hash,
    state: State,
    /// The second of its last request for a token.
    polled: u64,
    /// The seconds that must be between two of these.
    interval: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Waiting,
    Denied,
    /// The code of the grant, sealed.
    Approved(String),
}

/// Questions about a device.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum DeviceQuestion {
    /// It begins to wait.
    Begin(Box<Device>),
    /// Reads it, if it waits.
    Read,
    /// Its user denies.
    Deny,
    /// Its user has approved: the code of the grant, sealed.
    Approve(String),
    /// The client with this id asks for its token, with a secret of this hash.
    Poll(Hash, String),
    /// It uses the code of the grant, with a secret of this hash.
    Take(Hash),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum DeviceAnswer {
    /// There is no such device that waits.
    Unknown,
    /// Done.
    Done,
    /// It is another client's.
    OtherClient,
    /// It waits.
    Waiting(Box<Device>),
    /// Its user has not decided.
    Pending,
    /// It asks too often.
    TooFast,
    /// Its user denied.
    Denied,
    /// Its user approved: the code of the grant, sealed. It can be taken once.
    Approved(String),
}

impl Device {
    /// A device that begins to wait.
    #[must_use]
    pub fn new(
        request: AuthorizationRequest,
        (network, country): (String, Option<String>),
        (since, until): (u64, u64),
        secret: Hash,
    ) -> Self {
        let interval = DEVICE_INTERVAL;
        Self { request, network, country, since, until, secret, state: State::Waiting, polled: 0, interval }
    }

    fn polled(mut self, now: u64) -> (DeviceAnswer, Option<Self>) {
        let is_too_fast = now < self.polled + self.interval;
        self.polled = now;
        match &self.state {
            State::Approved(code) => (DeviceAnswer::Approved(code.clone()), Some(self)),
            State::Denied => (DeviceAnswer::Denied, None),
            State::Waiting if is_too_fast => {
                self.interval += DEVICE_SLOW_DOWN;
                (DeviceAnswer::TooFast, Some(self))
            }
            State::Waiting => (DeviceAnswer::Pending, Some(self)),
        }
    }
}

impl RecordStateMachine for Device {
    const KIND: &'static str = "device";
    type Question = DeviceQuestion;
    type Answer = DeviceAnswer;

    fn answer(record: Option<Self>, question: DeviceQuestion, now: u64) -> (DeviceAnswer, Option<Self>) {
        let record = record.filter(|device| now < device.until);
        match (question, record) {
            (DeviceQuestion::Begin(device), None) => (DeviceAnswer::Done, Some(*device)),
            (DeviceQuestion::Read, Some(device)) if device.state == State::Waiting => {
                (DeviceAnswer::Waiting(Box::new(device.clone())), Some(device))
            }
            (DeviceQuestion::Deny, Some(device)) => {
                let answer = match &device.state {
                    State::Waiting | State::Denied => DeviceAnswer::Done,
                    // The grant must end.
                    State::Approved(code) => DeviceAnswer::Approved(code.clone()),
                };
                (answer, Some(Self { state: State::Denied, ..device }))
            }
            (DeviceQuestion::Approve(code), Some(device)) if device.state == State::Waiting => {
                // A user who decides in the last moment does not decide in vain.
                let until = device.until.max(now + DEVICE_LAST_SECONDS);
                (DeviceAnswer::Done, Some(Self { state: State::Approved(code), until, ..device }))
            }
            (DeviceQuestion::Poll(secret, client), Some(device))
                if device.secret == secret && device.request.client_id == client =>
            {
                device.polled(now)
            }
            // Another client has the device code: it learns nothing, and changes nothing.
            (DeviceQuestion::Poll(..), Some(device)) => (DeviceAnswer::OtherClient, Some(device)),
            (DeviceQuestion::Take(secret), Some(device)) if device.secret == secret => match &device.state {
                State::Approved(code) => (DeviceAnswer::Approved(code.clone()), None),
                State::Waiting | State::Denied => (DeviceAnswer::Unknown, Some(device)),
            },
            (_, kept) => (DeviceAnswer::Unknown, kept),
        }
    }

    fn until(&self) -> u64 {
        self.until
    }
}

//! The queries with which the gateway asks its Durable Objects.

use worker::Request;

/// The values of a query. The code parses it itself: the URL parser of the platform's crate would add tables for internationalized
/// domain names, 60 KB gzipped.
pub(super) struct Query(String);

impl Query {
    /// The query of a request.
    pub(super) fn of(request: &Request) -> Self {
        let url = request.inner().url();
        Self(url.split_once('?').map_or_else(String::new, |(_, query)| query.to_owned()))
    }

    /// The value of that name, as it is written.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

//! Counters of this isolate in the format of `OpenMetrics`. Each isolate has its own counters, and an isolate may end
//! at any time: they serve to look at one isolate, and for tests. Analytics Engine has the sums over all isolates
//! (docs/operations.md).

use std::collections::BTreeMap;

use crate::observe::event::Outcome;
use crate::pipeline::context::RequestContext;
use crate::time::UnixMillis;

/// Upper bounds of the histogram buckets, in milliseconds.
const BUCKETS: [u64; 9] = [5, 10, 25, 50, 100, 250, 1_000, 5_000, 30_000];

/// Counters.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Requests by path of the resource, whether they were allowed, and reason.
    requests: BTreeMap<(String, bool, &'static str), u64>,
    /// By path of the resource: answers within each bucket, all answers, and the sum of milliseconds.
    origins: BTreeMap<String, ([u64; BUCKETS.len()], u64, u64)>,
    /// Credentials that were in the cache, and credentials that were not.
    known: (u64, u64),
}

/// Values besides the counters.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Credentials in memory, and their bytes.
    pub tokens: (usize, usize),
    /// By issuer: seconds for which its keys are still fresh; `None` if it has no keys or they never expire.
    pub keys: Vec<(String, Option<u64>)>,
    /// The version of the configuration, if it is in KV.
    pub version: Option<String>,
}

impl Metrics {
    /// Counts a request.
    pub fn count(&mut self, context: &RequestContext, outcome: &Outcome<'_>) {
        let (passed, reason) = (outcome.is_allowed(), outcome.reason());
        let path = context.resource.as_ref().map_or("", |resource| resource.path.as_str());
        *self.requests.entry((path.to_owned(), passed, reason)).or_default() += 1;
        match context.audit.entries().cache_hit {
            Some(true) => self.known.0 += 1,
            Some(false) => self.known.1 += 1,
            None => {}
        }
        if let (Some(_), Some(milliseconds)) = (&context.resource, context.origin_ms) {
            let (buckets, count, sum) = self.origins.entry(path.to_owned()).or_default();
            for (bucket, end) in buckets.iter_mut().zip(BUCKETS) {
                *bucket += u64::from(milliseconds <= end);
            }
            *count += 1;
            *sum += milliseconds;
        }
    }

    /// The text (`OpenMetrics` 1.0).
    #[must_use]
    pub fn text(&self, gauges: &Gauges, now: UnixMillis) -> String {
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, samples: &mut dyn FnMut(&mut String)| {
            text.push_str(&format!("# TYPE {name} {kind}\n# HELP {name} {help}\n"));
            samples(&mut text);
        };
        family("portcullis_requests", "counter", "Requests by resource, decision and reason.", &mut |text| {
            for ((resource, passed, reason), count) in &self.requests {
                let decision = if *passed { "allow" } else { "deny" };
                let resource = label(resource);
                text.push_str(&format!(
                    "portcullis_requests_total{{resource=\"{resource}\",decision=\"{decision}\",reason=\"{reason}\"}} {count}\n"
                ));
            }
        });
        family(
            "portcullis_origin_seconds",
            "histogram",
            "Seconds until the origin server's answer began.",
            &mut |text| {
                for (resource, (buckets, count, sum)) in &self.origins {
                    let resource = label(resource);
                    for (bucket, end) in buckets.iter().zip(BUCKETS) {
                        let end = seconds(end);
                        text.push_str(&format!(
                            "portcullis_origin_seconds_bucket{{resource=\"{resource}\",le=\"{end}\"}} {bucket}\n"
                        ));
                    }
                    text.push_str(&format!(
                        "portcullis_origin_seconds_bucket{{resource=\"{resource}\",le=\"+Inf\"}} {count}\n\
                         portcullis_origin_seconds_count{{resource=\"{resource}\"}} {count}\n\
                         portcullis_origin_seconds_sum{{resource=\"{resource}\"}} {}\n",
                        seconds(*sum)
                    ));
                }
            },
        );
        family("portcullis_credentials", "counter", "Cache hits and misses for credentials.", &mut |text| {
            text.push_str(&format!(
                "portcullis_credentials_total{{cache=\"hit\"}} {}\nportcullis_credentials_total{{cache=\"miss\"}} {}\n",
                self.known.0, self.known.1
            ));
        });
        family("portcullis_cached_credentials", "gauge", "Verified credentials in memory.", &mut |text| {
            text.push_str(&format!("portcullis_cached_credentials {}\n", gauges.tokens.0));
        });
        family("portcullis_cached_credentials_bytes", "gauge", "Their size in bytes, approximately.", &mut |text| {
            text.push_str(&format!("portcullis_cached_credentials_bytes {}\n", gauges.tokens.1));
        });
        let help = "Seconds for which an issuer's keys are still fresh; absent if there are none.";
        family("portcullis_keys_fresh_seconds", "gauge", help, &mut |text| {
            for (issuer, left) in &gauges.keys {
                if let Some(left) = left {
                    text.push_str(&format!("portcullis_keys_fresh_seconds{{issuer=\"{}\"}} {left}\n", label(issuer)));
                }
            }
        });
        if let Some(version) = &gauges.version {
            family("portcullis_configuration", "info", "The configuration in effect.", &mut |text| {
                text.push_str(&format!("portcullis_configuration_info{{version=\"{version}\"}} 1\n"));
            });
        }
        family("portcullis_clock_seconds", "gauge", "The clock of this isolate in Unix time.", &mut |text| {
            text.push_str(&format!("portcullis_clock_seconds {}\n", now.seconds()));
        });
        text.push_str("# EOF\n");
        text
    }
}

fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Milliseconds as seconds, without rounding.
fn seconds(milliseconds: u64) -> String {
    let text = format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

//! How everything here asks records.

use crate::authorization_server::settings::AuthorizationServer;
use crate::authorization_server::state::{self, RecordStateMachine};
use crate::platform_error::PlatformError;
use crate::ports::Ports;
use crate::strict_json;

/// Asks a record.
///
/// # Errors
/// Why it did not answer: then it is not known whether it handled the question.
pub(super) async fn ask<M: RecordStateMachine>(
    (server, ports): (&AuthorizationServer, &impl Ports),
    id: &str,
    question: M::Question,
) -> Result<M::Answer, PlatformError> {
    let name = state::name::<M>(id);
    let text = ports.record(&server.binding, &name, &state::question::<M>(question)).await?;
    strict_json::read(text.as_bytes()).map_err(|error| error.to_string().into())
}

//! The stages of a request, in order. Only its own stage can make a value of each type, from the value before it. A
//! value therefore proves everything above it in this list.
//!
//! - [`Head`](crate::transport::head::Head), made by the shell: nothing is known.
//! - [`Admitted`](admit::Admitted), made by [`admit`]: the host is this gateway, the transport is protected, sizes are
//!   bounded, the path is unambiguous.
//! - [`Routed`](route::Routed), made by [`route`]: the request is a preflight, or is for something that the gateway
//!   itself answers, for a public path, or for one protected resource. A request for a public path or a resource has no
//!   token in its query, a method and a media type that the target accepts, and does not come from a foreign web
//!   origin.
//! - [`Authenticated`](authenticate::Authenticated), made by [`authenticate`]: the caller is known
//!   ([`Principal`](crate::token::principal::Principal)).
//! - [`Inspected`](inspect::Inspected), made by [`inspect`]: what the request asks for is known, as far as the
//!   configuration requires that.
//! - [`Permit`](permit::Permit), made by [`authorize`]: the caller may do that.
//! - [`OutboundRequest`](crate::forward::request::OutboundRequest), made by [`crate::forward::request`]: the request
//!   contains nothing that the origin server must not see.
//!
//! Every exit before the end is a [`Rejection`](rejection::Rejection), and one function decides what the caller learns
//! about it: [`disclose`](rejection::Rejection::disclose). Everything else that decisions need is in the
//! [`RequestContext`](context::RequestContext); what the log contains is in the [`AuditRecord`](audit::AuditRecord).

pub mod admit;
pub mod audit;
pub mod authenticate;
pub mod authorize;
pub mod caller_state;
pub mod context;
pub mod disclosure;
pub mod examine;
pub mod handles;
pub mod inspect;
pub mod limited_call;
mod misread;
mod part;
pub mod permit;
pub mod recognized;
pub mod record;
pub mod rejection;
pub mod respond;
pub mod route;
pub mod verification;

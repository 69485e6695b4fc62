//! The stages of the road, in order. Each type can be made by its own stage alone, from the value before it, so that
//! having one proves everything above it in this list.
//!
//! | value | made by | what is now true |
//! |---|---|---|
//! | [`Head`] | the shell | nothing |
//! | [`Admitted`] | [`crate::pipeline::admit::admit`] | the host is ours, the scheme protects, sizes are bounded, the path has one meaning |
//! | [`Routed`] | [`crate::pipeline::route::route`] | it is a public document, a preflight, a path open to everyone, or a request to one protected resource, without a token in its query, with a method and media type that it takes, from no foreign page |
//! | [`Authenticated`] | [`crate::pipeline::authenticate`] | the caller is known: [`Principal`] |
//! | [`Inspected`] | [`crate::pipeline::inspect::inspect`] | what is asked for is known, as far as configuration needs to know it |
//! | [`Permit`] | [`crate::policy`] | the caller may do that |
//! | [`OutboundRequest`] | [`crate::forward::request`] | it carries nothing that the origin server should not see |
//!
//! Every exit before the end is a [`Rejection`], told to the caller by its one
//! [`disclose`](crate::pipeline::rejection::Rejection::disclose).

pub mod admit;
pub mod audit;
pub mod authenticate;
pub mod authorize;
pub mod context;
pub mod inspect;
pub mod record;
pub mod rejection;
pub mod respond;
pub mod route;

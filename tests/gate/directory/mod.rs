//! The directory: SCIM requests and their answers, with the tables in memory.

mod access;
mod discovery;
mod entra;
mod filters;
mod groups;
mod lists;
mod okta;
mod patches;
mod people;
mod requests;
mod robustness;
mod support;
mod timestamps;
mod users;

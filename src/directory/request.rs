//! Requests: what a method, path, query string and body ask for (RFC 7644 §3).

use serde_json::Value;

use super::error::{ScimError, quote};
use super::filter::Filter;
use super::patch::Operation;
use super::projection::Projection;
use super::schema::{GROUP, Schema, USER};
use crate::limits::{
    SCIM_BODY_BYTES, SCIM_ID_BYTES, SCIM_PAGE, SCIM_PAGE_DEFAULT, SCIM_QUERY_BYTES, SCIM_QUERY_PARAMETERS,
};
use crate::strict_json;

/// A request as it came.
#[derive(Debug, Clone, Copy)]
pub struct RawRequest<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The segments of the path below the base URL, as they were sent: still percent-encoded.
    pub segments: &'a [&'a str],
    /// What follows `?`, as it was sent.
    pub query: Option<&'a str>,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// The body. A caller may cut it off after [`SCIM_BODY_BYTES`] and one byte.
    pub body: &'a [u8],
}

/// A type of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceType {
    /// Users.
    User,
    /// Groups.
    Group,
}

impl ResourceType {
    /// The schema of the type.
    #[must_use]
    pub fn schema(self) -> &'static Schema {
        match self {
            Self::User => &USER,
            Self::Group => &GROUP,
        }
    }
}

/// A query for resources.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Which of them.
    pub filter: Option<Filter>,
    /// The number of the first one to return, from 1.
    pub start_index: u64,
    /// How many to return at most.
    pub count: u64,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum ScimRequest {
    /// `GET /Users` and the like.
    List(ResourceType, Query, Projection),
    /// `GET /Users/ID`
    Get(ResourceType, String, Projection),
    /// `POST /Users`
    Create(ResourceType, Value, Projection),
    /// `PUT /Users/ID`
    Replace(ResourceType, String, Value, Projection),
    /// `PATCH /Users/ID`
    Patch(ResourceType, String, Vec<Operation>, Projection),
    /// `DELETE /Users/ID`
    Delete(ResourceType, String),
    /// `GET /ServiceProviderConfig`
    ServiceProviderConfig,
    /// `GET /ResourceTypes`, or one of them.
    ResourceTypes(Option<String>),
    /// `GET /Schemas`, or one of them.
    Schemas(Option<String>),
}

impl ScimRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// 400 if it is malformed, 404 if there is no such endpoint, 405 if the endpoint does not have the method, 413 and 414 if it is too
    /// large, 415 if the body is not JSON, and 501 if the RFC defines it and the gateway does not support it.
    pub fn read(raw: RawRequest<'_>) -> Result<Self, ScimError> {
        let mut segments = raw.segments.iter().map(|segment| decode(segment, false)).collect::<Result<Vec<_>, _>>()?;
        if segments.len() > 1 && segments.last().is_some_and(String::is_empty) {
            segments.pop();
        }
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["Users"] => collection(ResourceType::User, raw),
            ["Groups"] => collection(ResourceType::Group, raw),
            ["Users", id] if *id != ".search" => resource(ResourceType::User, id, raw),
            ["Groups", id] if *id != ".search" => resource(ResourceType::Group, id, raw),
            ["ServiceProviderConfig"] => discovery(raw, Self::ServiceProviderConfig),
            ["ResourceTypes"] => discovery(raw, Self::ResourceTypes(None)),
            ["ResourceTypes", id] => discovery(raw, Self::ResourceTypes(Some((*id).to_owned()))),
            ["Schemas"] => discovery(raw, Self::Schemas(None)),
            ["Schemas", id] => discovery(raw, Self::Schemas(Some((*id).to_owned()))),
            ["Bulk"] => Err(ScimError::not_implemented("bulk operations are not supported: send one request for each")),
            ["Me"] => Err(ScimError::not_implemented("/Me is not supported: the caller is not a user")),
            [".search"] | ["Users" | "Groups", ".search"] => {
                Err(ScimError::not_implemented("POST /.search is not supported: use GET with a filter"))
            }
            [] => Err(ScimError::not_implemented("a query across types of resources is not supported")),
            _ => Err(ScimError::not_found("there is no such endpoint")),
        }
    }
}

fn collection(kind: ResourceType, raw: RawRequest<'_>) -> Result<ScimRequest, ScimError> {
    match raw.method {
        "GET" => {
            let parameters = Parameters::read(raw.query)?;
            let projection = parameters.projection(kind)?;
            Ok(ScimRequest::List(kind, parameters.query(kind)?, projection))
        }
        "POST" => {
            let projection = Parameters::read(raw.query)?.projection(kind)?;
            Ok(ScimRequest::Create(kind, body(raw)?, projection))
        }
        _ => Err(ScimError::method_not_allowed()),
    }
}

fn resource(kind: ResourceType, id: &str, raw: RawRequest<'_>) -> Result<ScimRequest, ScimError> {
    if !matches!(raw.method, "GET" | "PUT" | "PATCH" | "DELETE") {
        return Err(ScimError::method_not_allowed());
    }
    if id.is_empty() || id.len() > SCIM_ID_BYTES {
        return Err(ScimError::not_found("there is no such resource"));
    }
    let id = id.to_owned();
    let projection = Parameters::read(raw.query)?.projection(kind)?;
    match raw.method {
        "GET" => Ok(ScimRequest::Get(kind, id, projection)),
        "PUT" => Ok(ScimRequest::Replace(kind, id, body(raw)?, projection)),
        "PATCH" => Ok(ScimRequest::Patch(kind, id, Operation::read_all(kind.schema(), &body(raw)?)?, projection)),
        _ => Ok(ScimRequest::Delete(kind, id)),
    }
}

fn discovery(raw: RawRequest<'_>, request: ScimRequest) -> Result<ScimRequest, ScimError> {
    if raw.method != "GET" {
        return Err(ScimError::method_not_allowed());
    }
    match Parameters::read(raw.query)?.filter {
        Some(_) => Err(ScimError::forbidden_filter()),
        None => Ok(request),
    }
}

/// Reads the body of a request that must have one.
fn body(raw: RawRequest<'_>) -> Result<Value, ScimError> {
    let media_type = raw.content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !["application/scim+json", "application/json"].iter().any(|known| known.eq_ignore_ascii_case(media_type)) {
        return Err(ScimError::unsupported_media_type());
    }
    if raw.body.len() > SCIM_BODY_BYTES {
        return Err(ScimError::too_large(format!("the body has more than {SCIM_BODY_BYTES} bytes")));
    }
    strict_json::parse(raw.body)
        .map_err(|error| ScimError::invalid_syntax(format!("the body is not valid JSON: {error}")))
}

/// The parameters of a query string that have a meaning. `sortBy` and `sortOrder` are ignored (RFC 7644 §3.4.2.3), as are others.
#[derive(Debug, Default)]
struct Parameters {
    filter: Option<String>,
    start_index: Option<String>,
    count: Option<String>,
    attributes: Option<String>,
    excluded_attributes: Option<String>,
}

impl Parameters {
    fn read(query: Option<&str>) -> Result<Self, ScimError> {
        let query = query.unwrap_or_default();
        if query.len() > SCIM_QUERY_BYTES {
            return Err(ScimError::query_too_long());
        }
        let mut read = Self::default();
        for (at, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
            if at >= SCIM_QUERY_PARAMETERS {
                let detail = format!("the query string has more than {SCIM_QUERY_PARAMETERS} parameters");
                return Err(ScimError::invalid_value(detail));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name, true)?;
            let place = match name.as_str() {
                "filter" => &mut read.filter,
                "startIndex" => &mut read.start_index,
                "count" => &mut read.count,
                "attributes" => &mut read.attributes,
                "excludedAttributes" => &mut read.excluded_attributes,
                _ => continue,
            };
            if place.replace(decode(value, true)?).is_some() {
                return Err(ScimError::invalid_value(format!("the parameter {name} is repeated")));
            }
        }
        Ok(read)
    }

    fn projection(&self, kind: ResourceType) -> Result<Projection, ScimError> {
        Projection::read(kind.schema(), self.attributes.as_deref(), self.excluded_attributes.as_deref())
    }

    fn query(&self, kind: ResourceType) -> Result<Query, ScimError> {
        let filter = self.filter.as_deref().map(|filter| Filter::parse(kind.schema(), filter)).transpose()?;
        // A start below 1 is 1, and a count below 0 is 0 (RFC 7644 §3.4.2.4).
        let start_index = integer("startIndex", self.start_index.as_deref())?.map_or(1, |start| start.max(1));
        let count = integer("count", self.count.as_deref())?;
        Ok(Query { filter, start_index, count: count.map_or(SCIM_PAGE_DEFAULT, |count| count.min(SCIM_PAGE)) })
    }
}

/// Reads an integer. A negative one is 0.
fn integer(name: &str, text: Option<&str>) -> Result<Option<u64>, ScimError> {
    let Some(text) = text else { return Ok(None) };
    let number: i64 = text
        .parse()
        .map_err(|_| ScimError::invalid_value(format!("{name} is {}: it must be an integer", quote(text))))?;
    Ok(Some(u64::try_from(number).unwrap_or(0)))
}

/// Decodes percent-encoding, and `+` as a space in a query string, as forms write it.
fn decode(text: &str, form: bool) -> Result<String, ScimError> {
    let malformed = || ScimError::invalid_syntax("the URL has malformed percent-encoding");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                let (high, low) = (digit().ok_or_else(malformed)?, digit().ok_or_else(malformed)?);
                bytes.push(u8::try_from(high * 16 + low).map_err(|_| malformed())?);
            }
            b'+' if form => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

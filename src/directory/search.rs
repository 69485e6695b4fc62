//! Lists of resources (RFC 7644 §3.4.2): an index answers the filter, or a bounded number of resources is scanned.

use serde_json::{Map, Value, json};

use super::error::ScimError;
use super::failure::Failure;
use super::filter::{Filter, Lookup};
use super::group::{Group, GroupFacts};
use super::projection::Projection;
use super::request::Query;
use super::schema::Key;
use super::tables::{GroupSelection, Page, Tables, TablesError, UserSelection, groups_of};
use super::user::{User, UserFacts};
use crate::limits::{SCIM_PAGE, SCIM_PAGE_GROUPS, SCIM_SCAN, SCIM_SCAN_COMPARISONS, SCIM_SCAN_MEMBERS};

/// The schema of a list.
const LIST_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// A list message of all of some resources.
#[must_use]
pub fn whole_list(resources: Vec<Value>) -> Value {
    list_response(resources.len().try_into().unwrap_or(u64::MAX), 1, resources)
}

fn list_response(total: u64, start_index: u64, resources: Vec<Value>) -> Value {
    json!({
        "schemas": [LIST_SCHEMA],
        "totalResults": total,
        "startIndex": start_index,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    })
}

/// A list of users.
///
/// # Errors
/// If the filter needs a scan of too many users, or the store fails.
pub fn list_users(
    tables: &dyn Tables,
    query: &Query,
    projection: &Projection,
    base_url: &str,
) -> Result<Value, Failure> {
    let lookup = query.filter.as_ref().and_then(Filter::lookup);
    let (selection, answered) = match &lookup {
        None => (UserSelection::All, query.filter.is_none()),
        Some((Lookup::Id(id), exact)) => (UserSelection::Id(id), *exact),
        Some((Lookup::UserName(name), exact)) => (UserSelection::UserName(name), *exact),
        Some((Lookup::ExternalId(id), exact)) => (UserSelection::ExternalId(id), *exact),
        Some((Lookup::DisplayName(name), exact)) => (UserSelection::DisplayName(name), *exact),
        Some((Lookup::Email(address), exact)) => (UserSelection::Email(address), *exact),
        Some((Lookup::Group(id), exact)) => (UserSelection::InGroup(id), *exact),
        // Users have no members.
        Some((Lookup::Member(_), _)) => (UserSelection::All, false),
    };
    let total = tables.count_users(selection)?;
    let load = |page: Page| tables.users(selection, page);
    let matches = |user: &User, filter: &Filter| {
        let groups = if filter.mentions(Key::Groups) { groups_of(tables, &user.id)? } else { Vec::new() };
        Ok(filter.matches(&UserFacts { user, groups: &groups, base_url }))
    };
    let (total, users) = select(total, query, answered, &load, &matches)?;
    let (mut shown, mut left) = (Vec::new(), SCIM_PAGE_GROUPS);
    for user in &users {
        let groups = if projection.has("groups") { Some(groups_of(tables, &user.id)?) } else { None };
        let rest = left.checked_sub(groups.as_ref().map_or(0, Vec::len));
        left = rest.ok_or_else(|| {
            let detail = "the page has too many groups of users: ask for fewer users, or use excludedAttributes=groups";
            Failure::from(ScimError::too_many(detail))
        })?;
        shown.push(Value::Object(projection.apply(user.render(base_url, groups.as_deref()))));
    }
    Ok(list_response(total, query.start_index, shown))
}

/// A list of groups.
///
/// # Errors
/// If the filter needs a scan of too many groups, the page has too many members, or the store fails.
pub fn list_groups(
    tables: &dyn Tables,
    query: &Query,
    projection: &Projection,
    base_url: &str,
) -> Result<Value, Failure> {
    let lookup = query.filter.as_ref().and_then(Filter::lookup);
    let (selection, answered) = match &lookup {
        None => (GroupSelection::All, query.filter.is_none()),
        Some((Lookup::Id(id), exact)) => (GroupSelection::Id(id), *exact),
        Some((Lookup::ExternalId(id), exact)) => (GroupSelection::ExternalId(id), *exact),
        Some((Lookup::DisplayName(name), exact)) => (GroupSelection::DisplayName(name), *exact),
        Some((Lookup::Member(id), exact)) => (GroupSelection::OfMember(id), *exact),
        // Groups have neither user names, nor addresses, nor groups.
        Some((Lookup::UserName(_) | Lookup::Email(_) | Lookup::Group(_), _)) => (GroupSelection::All, false),
    };
    let total = tables.count_groups(selection)?;
    let budget = std::cell::Cell::new(SCIM_SCAN_MEMBERS);
    let load_members = |group: &Group| {
        let left = budget.get().checked_sub(tables.count_members(&group.id)?).ok_or_else(|| {
            let detail = format!(
                "the groups have more than {SCIM_SCAN_MEMBERS} members: exclude members, or ask for fewer groups"
            );
            Failure::from(ScimError::too_many(detail))
        })?;
        budget.set(left);
        Ok::<_, Failure>(tables.members(&group.id)?)
    };
    let load = |page: Page| tables.groups(selection, page);
    let matches = |group: &Group, filter: &Filter| {
        let members = match filter.only_values_of(Key::Members) {
            Some(ids) if ids.is_empty() => ids,
            Some(ids) => tables.members_among(&group.id, &ids)?,
            None => load_members(group)?,
        };
        Ok(filter.matches(&GroupFacts { group, members: &members, base_url }))
    };
    let (total, groups) = select(total, query, answered, &load, &matches)?;
    budget.set(SCIM_SCAN_MEMBERS);
    let mut shown = Vec::new();
    for group in &groups {
        let members = if projection.has("members") { Some(load_members(group)?) } else { None };
        shown.push(Value::Object(projection.apply(group.render(base_url, members.as_deref()))));
    }
    Ok(list_response(total, query.start_index, shown))
}

/// The number of resources that match, and those of them on the page. `candidates` is how many the selection has.
fn select<T>(
    candidates: u64,
    query: &Query,
    answered: bool,
    load: &dyn Fn(Page) -> Result<Vec<T>, TablesError>,
    matches: &dyn Fn(&T, &Filter) -> Result<bool, Failure>,
) -> Result<(u64, Vec<T>), Failure> {
    let first = query.start_index.saturating_sub(1);
    let filter = match &query.filter {
        Some(filter) if !answered => filter,
        _ if query.count == 0 || first >= candidates => return Ok((candidates, Vec::new())),
        _ => return Ok((candidates, load(Page { offset: first, limit: query.count })?)),
    };
    let comparisons = candidates.saturating_mul(filter.comparisons());
    if candidates > SCIM_SCAN || comparisons > SCIM_SCAN_COMPARISONS {
        let detail = format!(
            "the filter would compare {candidates} resources {} times, and a request looks at {SCIM_SCAN} with {SCIM_SCAN_COMPARISONS} \
             comparisons: add a comparison with eq of userName, \
             externalId, id, displayName, emails.value, members.value or groups.value",
            filter.comparisons()
        );
        return Err(ScimError::too_many(detail).into());
    }
    let (mut total, mut found) = (0, Vec::new());
    let mut offset = 0;
    while offset < candidates {
        let page = load(Page { offset, limit: SCIM_PAGE })?;
        if page.is_empty() {
            break;
        }
        for resource in page {
            if matches(&resource, filter)? {
                if total >= first && total - first < query.count {
                    found.push(resource);
                }
                total += 1;
            }
        }
        offset += SCIM_PAGE;
    }
    Ok((total, found))
}

/// The representation of a user.
///
/// # Errors
/// If the store fails.
pub fn show_user(
    tables: &dyn Tables,
    user: &User,
    projection: &Projection,
    base_url: &str,
) -> Result<Map<String, Value>, TablesError> {
    let groups = if projection.has("groups") { Some(groups_of(tables, &user.id)?) } else { None };
    Ok(projection.apply(user.render(base_url, groups.as_deref())))
}

/// The representation of a group.
///
/// # Errors
/// If the store fails.
pub fn show_group(
    tables: &dyn Tables,
    group: &Group,
    projection: &Projection,
    base_url: &str,
) -> Result<Map<String, Value>, TablesError> {
    let members = if projection.has("members") { Some(tables.members(&group.id)?) } else { None };
    Ok(projection.apply(group.render(base_url, members.as_deref())))
}

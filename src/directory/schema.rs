//! The attributes that the directory keeps, as one table: names, types, and what may be done with them (RFC 7643 §7). Filters, paths
//! and `/Schemas` read it.

/// The schema of users.
pub const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// The schema of groups.
pub const GROUP_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// An attribute or sub-attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the attribute of its name")]
pub enum Key {
    Schemas,
    Id,
    ExternalId,
    Meta,
    MetaResourceType,
    MetaCreated,
    MetaLastModified,
    MetaLocation,
    UserName,
    Active,
    DisplayName,
    Name,
    NameFormatted,
    NameFamilyName,
    NameGivenName,
    Emails,
    EmailValue,
    EmailType,
    EmailPrimary,
    Groups,
    GroupValue,
    GroupRef,
    GroupDisplay,
    GroupType,
    Members,
    MemberValue,
    MemberRef,
    MemberType,
}

/// The type of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    String,
    /// True or false.
    Boolean,
    /// RFC 3339 text.
    DateTime,
    /// A URI of a resource.
    Reference,
    /// It has sub-attributes.
    Complex,
}

/// Who may write an attribute, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutability {
    /// A client may write it.
    ReadWrite,
    /// Only the gateway writes it.
    ReadOnly,
    /// A client writes it once.
    Immutable,
}

/// An attribute of the table, with its characteristics (RFC 7643 §2.2).
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a characteristic that RFC 7643 defines")]
pub struct Attribute {
    /// Which it is.
    pub key: Key,
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether it is a list.
    pub multi_valued: bool,
    /// Whether a resource must have it.
    pub required: bool,
    /// Whether comparisons of it distinguish case.
    pub case_exact: bool,
    /// Who may write it.
    pub mutability: Mutability,
    /// Whether no other resource may have its value.
    pub unique: bool,
    /// Its values, if there are only these or if these are usual.
    pub canonical_values: &'static [&'static str],
    /// The types of resources that a reference leads to.
    pub reference_types: &'static [&'static str],
    /// Its meaning, for `/Schemas`.
    pub description: &'static str,
    /// Its sub-attributes.
    pub sub_attributes: &'static [Attribute],
}

impl Attribute {
    /// The sub-attribute of a name, in any case.
    #[must_use]
    pub fn sub_attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.sub_attributes.iter().find(|sub| sub.name.eq_ignore_ascii_case(name))
    }
}

/// The schema of one type of resource.
#[derive(Debug, PartialEq, Eq)]
pub struct Schema {
    /// Its URN.
    pub id: &'static str,
    /// The name of the resource type.
    pub name: &'static str,
    /// Its meaning.
    pub description: &'static str,
    /// The segment of its endpoint.
    pub endpoint: &'static str,
    /// Its attributes, without those that all resources have.
    pub attributes: &'static [Attribute],
}

impl Schema {
    /// The attribute of a name, in any case; also those that all resources have (RFC 7643 §3.1).
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.attributes.iter().chain(COMMON).find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }
}

const fn text(key: Key, name: &'static str, description: &'static str) -> Attribute {
    Attribute {
        key,
        name,
        kind: Kind::String,
        multi_valued: false,
        required: false,
        case_exact: false,
        mutability: Mutability::ReadWrite,
        unique: false,
        canonical_values: &[],
        reference_types: &[],
        description,
        sub_attributes: &[],
    }
}

const fn read_only(attribute: Attribute) -> Attribute {
    Attribute { mutability: Mutability::ReadOnly, ..attribute }
}

const fn exact(attribute: Attribute) -> Attribute {
    Attribute { case_exact: true, ..attribute }
}

const fn of_kind(kind: Kind, attribute: Attribute) -> Attribute {
    Attribute { kind, ..attribute }
}

const fn complex(sub_attributes: &'static [Attribute], multi_valued: bool, attribute: Attribute) -> Attribute {
    Attribute { kind: Kind::Complex, sub_attributes, multi_valued, ..attribute }
}

/// The attributes that all resources have. `/Schemas` does not list them (RFC 7643 §3.1).
pub static COMMON: &[Attribute] = &[
    Attribute { multi_valued: true, ..read_only(exact(text(Key::Schemas, "schemas", "The schemas of the resource."))) },
    read_only(exact(text(Key::Id, "id", "The identifier that the gateway gave the resource."))),
    exact(text(Key::ExternalId, "externalId", "The identifier of the resource at the identity provider.")),
    read_only(complex(META, false, text(Key::Meta, "meta", "When and where the resource is kept."))),
];

static META: &[Attribute] = &[
    read_only(exact(text(Key::MetaResourceType, "resourceType", "The type of the resource."))),
    read_only(of_kind(Kind::DateTime, text(Key::MetaCreated, "created", "When the resource was created."))),
    read_only(of_kind(Kind::DateTime, text(Key::MetaLastModified, "lastModified", "When the resource last changed."))),
    read_only(exact(of_kind(Kind::Reference, text(Key::MetaLocation, "location", "The URI of the resource.")))),
];

/// The schema of users.
pub static USER: Schema = Schema {
    id: USER_SCHEMA,
    name: "User",
    description: "A user account",
    endpoint: "Users",
    attributes: USER_ATTRIBUTES,
};

static USER_ATTRIBUTES: &[Attribute] = &[
    Attribute {
        required: true,
        unique: true,
        ..text(
            Key::UserName,
            "userName",
            "The name by which the identity provider knows the user. No two users have one name.",
        )
    },
    of_kind(Kind::Boolean, text(Key::Active, "active", "Whether the user has access.")),
    text(Key::DisplayName, "displayName", "The name of the user, for display."),
    complex(NAME, false, text(Key::Name, "name", "The parts of the user's name.")),
    complex(EMAILS, true, text(Key::Emails, "emails", "The e-mail addresses of the user.")),
    read_only(complex(GROUPS, true, text(Key::Groups, "groups", "The groups of the user. Change them at the groups."))),
];

static NAME: &[Attribute] = &[
    text(Key::NameFormatted, "formatted", "The full name."),
    text(Key::NameFamilyName, "familyName", "The family name."),
    text(Key::NameGivenName, "givenName", "The given name."),
];

static EMAILS: &[Attribute] = &[
    text(Key::EmailValue, "value", "The address."),
    Attribute {
        canonical_values: &["work", "home", "other"],
        ..text(Key::EmailType, "type", "What the address is for.")
    },
    of_kind(Kind::Boolean, text(Key::EmailPrimary, "primary", "Whether it is the preferred address; at most one is.")),
];

static GROUPS: &[Attribute] = &[
    read_only(exact(text(Key::GroupValue, "value", "The id of the group."))),
    Attribute {
        reference_types: &["Group"],
        ..read_only(exact(of_kind(Kind::Reference, text(Key::GroupRef, "$ref", "The URI of the group."))))
    },
    read_only(text(Key::GroupDisplay, "display", "The displayName of the group.")),
    Attribute {
        canonical_values: &["direct"],
        ..read_only(text(Key::GroupType, "type", "How the user belongs to the group."))
    },
];

/// The schema of groups.
pub static GROUP: Schema = Schema {
    id: GROUP_SCHEMA,
    name: "Group",
    description: "A group of users",
    endpoint: "Groups",
    attributes: GROUP_ATTRIBUTES,
};

static GROUP_ATTRIBUTES: &[Attribute] = &[
    Attribute {
        required: true,
        unique: true,
        ..text(
            Key::DisplayName,
            "displayName",
            "The name of the group. No two groups have one name, because rules name groups.",
        )
    },
    complex(MEMBERS, true, text(Key::Members, "members", "The users of the group. A group has no groups as members.")),
];

static MEMBERS: &[Attribute] = &[
    Attribute { mutability: Mutability::Immutable, ..exact(text(Key::MemberValue, "value", "The id of the user.")) },
    Attribute {
        mutability: Mutability::Immutable,
        reference_types: &["User"],
        ..exact(of_kind(Kind::Reference, text(Key::MemberRef, "$ref", "The URI of the user.")))
    },
    Attribute {
        mutability: Mutability::Immutable,
        canonical_values: &["User"],
        ..text(Key::MemberType, "type", "The type of the member.")
    },
];

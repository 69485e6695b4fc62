//! The table for the lock of a resource, as an operator writes it.

use deserr::Deserr;

use crate::config::mistakes::Mistakes;
use crate::config::rules_document::ModeName;

/// What happens to items that are not in the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(rename_all = lowercase, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename_all = "lowercase"))]
pub enum UnlockedName {
    /// They are hidden and refused.
    Closed,
    /// They may be used, and the log names them.
    Observe,
}

/// What a caller learns of an item that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(rename_all = lowercase, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename_all = "lowercase"))]
pub enum RefusalName {
    /// That it does not exist.
    Absent,
    /// That its definition is not the one that was reviewed.
    Reason,
}

/// How the gateway holds tools, prompts and resource templates to the definitions that were reviewed.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct LockDocument {
    /// `enforce` hides items that differ from their definitions in the lock, and refuses their use; `observe` only says in the log
    /// what differs. Default: `enforce`.
    #[deserr(default)]
    pub mode: Option<ModeName>,

    /// Items that are not in the lock: `closed` hides and refuses them; `observe` lets them pass, and the log names them. Default:
    /// `closed`.
    #[deserr(default)]
    pub unlocked: Option<UnlockedName>,

    /// What a caller learns who uses such an item: `absent`, that it does not exist; `reason`, that its definition is not the one that
    /// was reviewed. Default: `absent`.
    #[deserr(default)]
    pub refusal: Option<RefusalName>,
}

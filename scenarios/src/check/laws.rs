//! The laws.

mod answers;
mod commutes;
mod deterministic;
mod dry_run;
mod duplicates;
mod echo;
mod idempotent;
mod malformed;
mod operations;
mod ownership;
mod patch_applies;
mod timeout;
mod unknown_fields;

use super::law::Law;

/// All laws, in the order in which they are held against a webhook: what the later ones need, the earlier ones say.
pub(super) const LAWS: [&dyn Law; 13] = [
    &answers::Answers,
    &echo::Echo,
    &timeout::Timeout,
    &patch_applies::PatchApplies,
    &ownership::Ownership,
    &unknown_fields::UnknownFields,
    &idempotent::Idempotent,
    &deterministic::Deterministic,
    &dry_run::DryRun,
    &duplicates::Duplicates,
    &commutes::Commutes,
    &operations::Operations,
    &malformed::Malformed,
];

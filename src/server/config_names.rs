//! Configuration names of the release before, which are still read.

use config::{ConfigError, Map, Value, ValueKind};

/// Section and name of a value.
type Name = (&'static str, &'static str);

/// Names as they were, and as they are.
const RENAMED: &[(Name, Name)] = &[
    (("data", "master_key_file"), ("data", "vault_key_file")),
    (("ledger", "free_bytes_min"), ("ledger", "disk_free_bytes_min")),
    (("limits", "verifications_max"), ("limits", "public_requests_concurrent_max")),
    (("statements", "per_second"), ("statements", "rate_per_signer")),
    (("renewal", "ahead_days"), ("archive_timestamp", "before_expiry_days")),
];

/// Gives every value its present name. The defaults have none of the old ones, so an old one takes their place.
///
/// # Errors
/// When `operator`, which was said of a witness, is neither `self` nor `other`.
pub(super) fn rename(values: &mut Value) -> Result<(), ConfigError> {
    let ValueKind::Table(sections) = &mut values.kind else { return Ok(()) };
    for ((old_section, old), (section, name)) in RENAMED {
        let Some(value) = section_of(sections, old_section).and_then(|values| values.remove(*old)) else { continue };
        if let Some(values) = section_of(sections, section) {
            values.insert((*name).to_owned(), value);
        }
    }
    if section_of(sections, "renewal").is_some_and(|renewal| renewal.is_empty()) {
        sections.remove("renewal");
    }
    let Some(witnessing) = section_of(sections, "witnessing") else { return Ok(()) };
    for list in ["witness", "timestamp_authority"] {
        let Some(ValueKind::Array(all)) = witnessing.get_mut(list).map(|list| &mut list.kind) else { continue };
        for one in all {
            let ValueKind::Table(values) = &mut one.kind else { continue };
            let Some(operator) = values.remove("operator") else { continue };
            let independent = match operator.into_string()?.as_str() {
                "self" => false,
                "other" => true,
                wrong => return Err(ConfigError::Message(format!("operator {wrong:?} is neither self nor other"))),
            };
            values.insert("independent".to_owned(), Value::new(None, independent));
        }
    }
    Ok(())
}

fn section_of<'a>(sections: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    match &mut sections.get_mut(name)?.kind {
        ValueKind::Table(values) => Some(values),
        _ => None,
    }
}

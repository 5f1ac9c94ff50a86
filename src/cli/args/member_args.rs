//! Members of an item that have no option of their own.

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

/// Members of an item, by name.
#[derive(Debug, Default, clap::Args)]
pub(in crate::cli) struct MemberArgs {
    /// Set another member, as NAME=JSON or NAME=TEXT; may be repeated.
    #[arg(long = "member", value_name = "NAME=VALUE")]
    members: Vec<String>,
}

impl MemberArgs {
    /// Puts them into an item, which does not have them yet.
    pub(in crate::cli) fn put_into(&self, item: &mut Map<String, Value>) -> anyhow::Result<()> {
        for member in &self.members {
            let (name, value) =
                member.split_once('=').with_context(|| format!("--member {member:?} is not NAME=VALUE"))?;
            if item.insert(name.to_owned(), json_or_text(value)).is_some() {
                bail!("{name} is given twice");
            }
        }
        Ok(())
    }
}

/// JSON where it is, else text.
pub(in crate::cli) fn json_or_text(value: &str) -> Value {
    crate::json::parse(value.as_bytes(), &crate::json::JsonLimits::default()).unwrap_or_else(|_| value.into())
}

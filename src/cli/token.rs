//! `affiant token`: API tokens, on the directory itself or through the server that holds it.

use std::path::PathBuf;

use anyhow::Context as _;
use chrono::TimeDelta;
use clap::{Args, Subcommand};
use serde_json::json;

use super::output;
use crate::access::{ApiToken, Role, TokenRequest, TokenStore};
use crate::authority::IssuerId;
use crate::cli::args::remote::{RemoteArgs, lock_data};
use crate::clock::{Clock as _, SystemClock, format_time};

/// Longest life of a token that may be asked for, ten years: without a date it has no end.
const EXPIRES_DAYS_MAX: i64 = 3660;

/// Manage API tokens.
#[derive(Debug, Args)]
pub(crate) struct TokenCommand {
    /// The server's data directory.
    #[arg(long, value_name = "DIR", global = true, default_value = "data")]
    data: PathBuf,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a token; its secret is shown once.
    Create {
        /// issuer, auditor or admin.
        #[arg(long)]
        role: Role,
        /// The issuer that a token of role issuer is bound to.
        #[arg(long)]
        issuer: Option<IssuerId>,
        /// Allow anchoring of records that others signed.
        #[arg(long)]
        may_anchor_foreign: bool,
        /// Days until the token expires; default: never.
        #[arg(long, value_parser = clap::value_parser!(i64).range(1..=EXPIRES_DAYS_MAX))]
        expires_days: Option<i64>,
    },
    /// List tokens, without their secrets.
    List,
    /// Revoke a token, for good.
    Revoke {
        /// The token's public name.
        token: String,
    },
}

impl TokenCommand {
    /// Does what was asked for.
    ///
    /// # Errors
    /// When the token is refused, or the file cannot be read or written.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let now = SystemClock::default().now();
        if let Some(remote) = self.remote.remote()? {
            return match self.action {
                Action::Create { role, issuer, may_anchor_foreign, expires_days } => {
                    let expires_at = expires_days.map(|days| format_time(now + TimeDelta::days(days)));
                    let body = json!({
                        "role": role, "issuer": issuer, "may_anchor_foreign": may_anchor_foreign, "expires_at": expires_at,
                    });
                    remote.post("admin/tokens", body).await
                }
                Action::List => remote.get("admin/tokens").await,
                Action::Revoke { token } => remote.delete(&format!("admin/tokens/{token}")).await,
            };
        }
        let _lock = lock_data(&self.data)?;
        let store = TokenStore::open(&self.data.join("authority"))?;
        match self.action {
            Action::Create { role, issuer, may_anchor_foreign, expires_days } => {
                let expires_at = expires_days.map(|days| now + TimeDelta::days(days));
                let made = store.create(TokenRequest { role, issuer, may_anchor_foreign, expires_at }, now)?;
                let value = json!({ "token": made.token, "secret": made.secret.as_str() });
                let row = [made.token.id.to_string(), made.secret.to_string()];
                output::print(self.json, &value, ["TOKEN", "SECRET (shown once)"], &[row])
            }
            Action::List => {
                let tokens = store.list()?;
                let rows: Vec<_> = tokens.iter().map(row).collect();
                output::print(self.json, &tokens, ["TOKEN", "ROLE", "ISSUER", "EXPIRES", "REVOKED"], &rows)
            }
            Action::Revoke { token } => store.revoke(&token, now).with_context(|| format!("token {token}")),
        }
    }
}

fn row(token: &ApiToken) -> [String; 5] {
    [
        token.id.to_string(),
        format!("{:?}", token.role).to_lowercase(),
        token.issuer.as_ref().map(ToString::to_string).unwrap_or_default(),
        token.expires_at.map(format_time).unwrap_or_default(),
        token.revoked_at.map(format_time).unwrap_or_default(),
    ]
}

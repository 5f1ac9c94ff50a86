//! `affiant certs`: the certificate authority, on the directory itself or through the server that holds it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::output;
use crate::authority::{
    Authority, AuthorityParams, CertificateSummary, FileKeyStore, IssuerCredential, IssuerId, Profiles, PublishedCrl,
    RevocationRequest,
};
use crate::cli::args::passphrase::{self, PassphraseArgs};
use crate::cli::args::remote::{Remote, RemoteArgs, lock_data};
use crate::clock::{Clock, SystemClock, format_time, parse_time};
use crate::ledger::WriterLock;
use crate::pki::{RevocationReason, pem_blocks, to_pem};
use crate::vfs::OsFileSystem;

/// Manage certificates: authorities, issuers, revocation lists.
#[derive(Debug, Args)]
pub(crate) struct CertsCommand {
    /// The server's data directory; the authority is in its `authority/`.
    #[arg(long, value_name = "DIR", global = true, default_value = "data")]
    data: PathBuf,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a root, an issuing authority and their first lists.
    Init {
        /// The organisation in every name.
        #[arg(long)]
        organisation: String,
        /// Address where lists and certificates will be served, for example `http://pki.example.com`.
        #[arg(long)]
        base_url: String,
        /// Where to write the root's encrypted key: a medium that leaves the server.
        #[arg(long, value_name = "FILE")]
        root_key: PathBuf,
        /// Certificate profiles in place of the built-in ones.
        #[arg(long, value_name = "DIR")]
        profiles: Option<PathBuf>,
    },
    /// Add an issuer and give it a certificate.
    AddIssuer {
        /// The name in its certificates.
        name: String,
    },
    /// Give an issuer a new certificate, also after a revocation.
    Issue {
        /// The issuer.
        issuer: IssuerId,
    },
    /// Certify an issuer's own key: prints the chain as PEM.
    Request {
        /// The issuer.
        issuer: IssuerId,
        /// The certificate request (PKCS #10), as PEM.
        #[arg(value_name = "FILE")]
        request: PathBuf,
    },
    /// List issuers and certificates.
    List,
    /// Show one certificate as PEM, or the root and the chain.
    Show {
        /// Serial number or thumbprint; `root` or `chain`.
        certificate: String,
    },
    /// Rotate one issuer, or all whose successor is due.
    Rotate {
        /// The issuer; without it, all that are due.
        issuer: Option<IssuerId>,
    },
    /// Revoke a certificate and publish a new list at once.
    Revoke {
        /// Serial number or thumbprint.
        certificate: String,
        /// The reason, as RFC 5280 names it: keyCompromise, superseded, cessationOfOperation, ….
        #[arg(long, value_parser = reason)]
        reason: RevocationReason,
        /// The revocation time (RFC 3339); default: now.
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        at: Option<DateTime<Utc>>,
        /// The time from which the key is not trusted (RFC 3339).
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        invalidity_date: Option<DateTime<Utc>>,
        /// The root's key, to revoke an issuing authority.
        #[command(flatten)]
        root: RootKey,
    },
    /// List the newest revocation lists, or renew and export them.
    Crl {
        /// Make new lists now.
        #[arg(long)]
        renew: bool,
        /// Write the lists to this folder, as PEM.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Run the operations that need the offline root key.
    #[command(subcommand)]
    Ceremony(Ceremony),
}

#[derive(Debug, Subcommand)]
enum Ceremony {
    /// Make the root's next revocation list, once a year.
    RenewCrl {
        #[command(flatten)]
        root: RootKey,
    },
    /// Make the next issuing authority, a year before the last one ends.
    RenewAuthority {
        #[command(flatten)]
        root: RootKey,
    },
}

#[derive(Debug, Args)]
struct RootKey {
    /// File of the root's encrypted key.
    #[arg(long, value_name = "FILE")]
    root_key: Option<PathBuf>,
    /// File with its pass phrase, if it differs from that of the other keys.
    #[arg(long, value_name = "FILE")]
    root_passphrase_file: Option<PathBuf>,
}

impl CertsCommand {
    /// Does what was asked for.
    ///
    /// # Errors
    /// When the authority refuses, or cannot be opened.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        if let Some(remote) = self.remote.remote()? {
            return over_http(&remote, self.action).await;
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let directory = self.data.join("authority");
        let passphrase = self.passphrase.read()?;
        if let Action::Init { organisation, base_url, root_key, profiles } = self.action {
            let profiles = Profiles::load(profiles.as_deref())?;
            let _lock = WriterLock::take(&OsFileSystem, &self.data)?;
            let root_key_protection = passphrase.clone().into();
            let params =
                AuthorityParams { organisation, base_url, root_key_path: root_key, root_key_protection, profiles };
            let keys = FileKeyStore::of_authority(&directory, passphrase);
            let authority = Authority::init(&directory, params, keys, clock)?;
            return print_certificates(self.json, &all_certificates(&authority)?);
        }
        let _lock = lock_data(&self.data)?;
        let keys = FileKeyStore::of_authority(&directory, passphrase.clone());
        let authority = Authority::open(&directory, keys, Arc::clone(&clock))?;
        let manager = Manager { authority, json: self.json, passphrase, now: clock.now() };
        manager.run(self.action)
    }
}

/// The same actions, done by the server that holds the directory.
async fn over_http(remote: &Remote, action: Action) -> anyhow::Result<()> {
    match action {
        Action::AddIssuer { name } => remote.post("admin/issuers", json!({ "name": name })).await,
        Action::Issue { issuer } => remote.post(&format!("admin/issuers/{issuer}/certificates"), json!({})).await,
        Action::Rotate { issuer: Some(issuer) } => {
            remote.post(&format!("admin/issuers/{issuer}/rotate"), json!({})).await
        }
        Action::List => remote.get("certificates").await,
        Action::Revoke { certificate, reason, at, invalidity_date, .. } => {
            let time = |time: Option<DateTime<Utc>>| time.map(format_time);
            let body = json!({
                "certificate": certificate, "reason": reason.name(),
                "revoked_at": time(at), "invalidity_date": time(invalidity_date),
            });
            remote.post("admin/revocations", body).await
        }
        Action::Crl { renew: true, out: None } => remote.post("admin/crls", json!({})).await,
        _ => anyhow::bail!("this is done on the directory, while no server holds it"),
    }
}

struct Manager {
    authority: Authority,
    json: bool,
    passphrase: Zeroizing<String>,
    now: DateTime<Utc>,
}

impl Manager {
    fn run(&self, action: Action) -> anyhow::Result<()> {
        match action {
            Action::Init { .. } => anyhow::bail!("there is an authority already"),
            Action::AddIssuer { name } => {
                let issuer = self.authority.add_issuer(&name)?;
                self.print_credential(&issuer.id, self.authority.issue(&issuer.id)?.as_ref())
            }
            Action::Issue { issuer } => self.print_credential(&issuer, self.authority.issue(&issuer)?.as_ref()),
            Action::Request { issuer, request } => self.request(&issuer, &request),
            Action::List => self.list(),
            Action::Show { certificate } => self.show(&certificate),
            Action::Rotate { issuer: Some(issuer) } => {
                self.print_credential(&issuer, self.authority.rotate(&issuer)?.as_ref())
            }
            Action::Rotate { issuer: None } => {
                let rotated = self.authority.rotate_due(self.now)?;
                let rows: Vec<_> = rotated.iter().map(|issuer| [issuer.to_string()]).collect();
                output::print(self.json, &rotated, ["ROTATED"], &rows)
            }
            Action::Revoke { certificate, reason, at, invalidity_date, root } => {
                let request = RevocationRequest { certificate, reason, revoked_at: at, invalidity_date };
                let crl = match &root.root_key {
                    None => self.authority.revoke(&request)?,
                    Some(key) => {
                        self.authority.revoke_issuing_authority(&request, key, &self.root_passphrase(&root)?)?
                    }
                };
                self.print_crls(&[crl])
            }
            Action::Crl { renew, out } => {
                if renew {
                    self.authority.renew_crls_now()?;
                }
                let crls = self.authority.current_crls()?;
                if let Some(directory) = out {
                    export(&crls, &directory)?;
                }
                self.print_crls(&crls)
            }
            Action::Ceremony(Ceremony::RenewCrl { root }) => {
                let crl = self.authority.renew_root_crl(root.path()?, &self.root_passphrase(&root)?)?;
                self.print_crls(&[crl])
            }
            Action::Ceremony(Ceremony::RenewAuthority { root }) => {
                self.authority.renew_issuing_authority(root.path()?, &self.root_passphrase(&root)?)?;
                print_certificates(self.json, &self.authorities()?)
            }
        }
    }

    fn root_passphrase(&self, root: &RootKey) -> anyhow::Result<Zeroizing<String>> {
        root.root_passphrase_file.as_deref().map_or_else(|| Ok(self.passphrase.clone()), passphrase::read_file)
    }

    fn authorities(&self) -> anyhow::Result<Vec<CertificateSummary>> {
        let authorities = self.authority.authority_certificates();
        authorities.iter().map(|one| Ok(self.authority.certificate(&one.thumbprint_url())?.0)).collect()
    }

    fn request(&self, issuer: &IssuerId, path: &Path) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let requests = pem_blocks(&text, "CERTIFICATE REQUEST", 1)?;
        let request = requests.first().with_context(|| format!("no certificate request in {}", path.display()))?;
        let chain = self.authority.issue_for_request(issuer, request)?;
        let pem: String = chain.iter().map(|der| to_pem("CERTIFICATE", der)).collect();
        output::print(self.json, &json!({ "issuer": issuer, "pem": pem }), [pem.trim_end()], &[])
    }

    fn list(&self) -> anyhow::Result<()> {
        let (issuers, certificates) = (self.authority.issuers()?, all_certificates(&self.authority)?);
        if self.json {
            let value = json!({ "issuers": issuers, "certificates": certificates });
            return output::print(true, &value, [], &[]);
        }
        let rows: Vec<_> = issuers.iter().map(|issuer| [issuer.id.to_string(), issuer.name.clone()]).collect();
        output::print(false, &(), ["ISSUER", "NAME"], &rows)?;
        print_certificates(false, &certificates)?;
        if self.authority.root_crl_due(self.now)? {
            eprintln!("the root's revocation list is due: affiant certs ceremony renew-crl --root-key FILE");
        }
        if self.authority.issuing_authority_due(self.now) {
            eprintln!("the next issuing authority is due: affiant certs ceremony renew-authority --root-key FILE");
        }
        Ok(())
    }

    fn show(&self, certificate: &str) -> anyhow::Result<()> {
        let pem = match certificate {
            "root" => self.authority.root_pem(),
            "chain" => self.authority.chain_pem(),
            other => {
                let (summary, certificate) = self.authority.certificate(other)?;
                let pem = to_pem("CERTIFICATE", certificate.der());
                if self.json {
                    let value = json!({ "certificate": summary, "pem": pem });
                    return output::print(true, &value, [], &[]);
                }
                print_certificates(false, &[summary])?;
                pem
            }
        };
        let value = json!({ "pem": pem });
        output::print(self.json, &value, [pem.trim_end()], &[])
    }

    fn print_credential(&self, issuer: &IssuerId, credential: &IssuerCredential) -> anyhow::Result<()> {
        let (thumbprint, until) = (credential.certificate.thumbprint_url(), format_time(credential.active_until));
        let value = json!({ "issuer": issuer, "certificate": thumbprint, "active_until": until });
        let row = [issuer.to_string(), thumbprint, until];
        output::print(self.json, &value, ["ISSUER", "CERTIFICATE", "ACTIVE UNTIL"], &[row])
    }

    fn print_crls(&self, crls: &[PublishedCrl]) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Listed<'a> {
            authority: &'a str,
            number: u64,
            crl: &'a str,
            this_update: String,
            next_update: String,
        }
        let listed = crls.iter().map(|crl| Listed {
            authority: &crl.authority,
            number: crl.number,
            crl: &crl.digest,
            this_update: format_time(crl.this_update),
            next_update: format_time(crl.next_update),
        });
        let listed: Vec<_> = listed.collect();
        let rows = listed.iter().map(|crl| {
            let (authority, number) = (crl.authority.to_owned(), crl.number.to_string());
            [authority, number, crl.this_update.clone(), crl.next_update.clone(), crl.crl.to_owned()]
        });
        let rows: Vec<_> = rows.collect();
        output::print(self.json, &listed, ["AUTHORITY", "NUMBER", "THIS UPDATE", "NEXT UPDATE", "LIST"], &rows)
    }
}

impl RootKey {
    fn path(&self) -> anyhow::Result<&Path> {
        self.root_key.as_deref().context("give the root's key with --root-key")
    }
}

fn export(crls: &[PublishedCrl], directory: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("directory {}", directory.display()))?;
    for crl in crls {
        let path = directory.join(format!("{}.crl.pem", crl.authority));
        std::fs::write(&path, to_pem("X509 CRL", &crl.der)).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Every certificate that was ever issued, in the order of issue.
fn all_certificates(authority: &Authority) -> anyhow::Result<Vec<CertificateSummary>> {
    Ok(authority.certificates(None, usize::MAX)?.certificates)
}

fn print_certificates(json: bool, certificates: &[CertificateSummary]) -> anyhow::Result<()> {
    let rows = certificates.iter().map(|certificate| {
        [
            certificate.serial.clone(),
            format!("{:?}", certificate.state).to_lowercase(),
            certificate.subject.clone(),
            format_time(certificate.active_until),
            format_time(certificate.not_after),
            certificate.issuer.as_ref().map(ToString::to_string).unwrap_or_default(),
        ]
    });
    let rows: Vec<_> = rows.collect();
    output::print(json, &certificates, ["SERIAL", "STATE", "SUBJECT", "ACTIVE UNTIL", "NOT AFTER", "ISSUER"], &rows)
}

pub(super) fn reason(text: &str) -> Result<RevocationReason, String> {
    RevocationReason::from_name(text).ok_or_else(|| {
        let names = RevocationReason::ALL.map(RevocationReason::name);
        format!("one of {}", names.join(", "))
    })
}

//! Documents of any form: the envelope, and the vCon inside (rules 26 to 30, 33).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::{At, Findings, VconFinding};
use crate::json;
use crate::vcon::VconLimits;
use crate::vcon::document::form::Form;
use crate::vcon::document::gzip::inflate;
use crate::vcon::document::vcon::{Vcon, VconError};

/// Payloads inside payloads that are looked into, as many as a record may have.
const LAYERS_MAX: usize = 16;

/// Lists the rules that a document of any form does not keep: what is signed is looked into, what is encrypted is not.
///
/// # Errors
/// When it is no vCon in any form, or passes a limit. What is wrong with a payload is a finding.
pub fn validate_any(bytes: &[u8], limits: &VconLimits) -> Result<Vec<VconFinding>, VconError> {
    let mut findings = Findings::default();
    let value = json::parse(bytes, &limits.json)?;
    match (Form::of(&value), &value) {
        (Some(Form::Signed), Value::Object(members)) => {
            findings.signed(At::new("", members), LAYERS_MAX, limits);
        }
        (Some(Form::Encrypted), Value::Object(members)) => findings.encrypted(At::new("", members)),
        _ => findings.vcon(&Vcon::of(value, limits)?, ""),
    }
    Ok(findings.list)
}

/// Claims of a signature's header about the payload.
struct Signed {
    pointer: String,
    uuid: Option<String>,
}

impl Findings {
    fn signed(&mut self, jws: At<'_>, layers_left: usize, limits: &VconLimits) {
        if let Some(name) = jws.members.keys().find(|name| !matches!(name.as_str(), "payload" | "signatures")) {
            let name: String = name.chars().take(64).collect();
            self.should(jws, "payload", 33, format!("member {name:?} stands beside the payload, and nobody signed it"));
        }
        let signatures = self.signatures(jws);
        let payload = jws.text("payload").and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
        let Some(payload) = payload else {
            return self.must(jws, "payload", 26, "payload is not base64url");
        };
        let inside = match inflate(&payload, limits) {
            Ok(inflated) => json::parse(&inflated, &limits.json).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let pointer = format!("{}/payload", jws.pointer);
        match inside {
            Err(error) => self.must(jws, "payload", 26, error),
            Ok(value) => self.inside(&value, &pointer, &signatures, layers_left, limits),
        }
    }

    fn inside(&mut self, value: &Value, pointer: &str, signed: &[Signed], layers_left: usize, limits: &VconLimits) {
        let at = |members| At::new(pointer, members);
        match (Form::of(value), value) {
            (Some(Form::Signed), Value::Object(members)) if layers_left > 0 => {
                self.signed(at(members), layers_left - 1, limits);
            }
            (Some(Form::Unsigned), Value::Object(members)) => {
                if !at(members).has("updated_at") {
                    self.should(at(members), "updated_at", 28, "updated_at, the signing time, is missing");
                }
                for header in signed {
                    if header.uuid.as_deref().is_some_and(|uuid| Some(uuid) != at(members).text("uuid")) {
                        let at = At::new(&header.pointer, members);
                        self.must(at, "uuid", 27, "uuid is not that of the vCon that is signed");
                    }
                }
                match Vcon::of(value.clone(), limits) {
                    Ok(vcon) => self.vcon(&vcon, pointer),
                    Err(error) => self.add(pointer.to_owned(), 26, super::Level::Must, error.to_string()),
                }
            }
            _ => self.add(pointer.to_owned(), 26, super::Level::Must, "what is signed is no vCon"),
        }
    }

    /// Rule 27.
    fn signatures(&mut self, jws: At<'_>) -> Vec<Signed> {
        let list = jws.get("signatures").and_then(Value::as_array);
        let Some(list) = list.filter(|list| !list.is_empty()) else {
            self.must(jws, "signatures", 26, "there are no signatures");
            return Vec::new();
        };
        let mut signed = Vec::new();
        for (position, signature) in list.iter().enumerate() {
            let pointer = format!("{}/signatures/{position}", jws.pointer);
            let Some(members) = signature.as_object() else {
                self.must(jws, "signatures", 26, format!("signature {position} is not an object"));
                continue;
            };
            let at = At::new(&pointer, members);
            self.required(at, &["protected", "signature"], 27);
            let protected = at.text("protected").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
            let protected: Map<String, Value> =
                protected.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
            let Some(header) = at.get("header").and_then(Value::as_object) else {
                self.must(at, "header", 27, "header, which has the certificates, is missing");
                continue;
            };
            let pointer = format!("{pointer}/header");
            let at = At::new(&pointer, header);
            match header.get("alg").or_else(|| protected.get("alg")).and_then(Value::as_str) {
                None => self.must(at, "alg", 27, "alg is in neither header"),
                Some("RS256") => {}
                Some(_) => self.should(at, "alg", 27, "alg is not RS256, which most can verify"),
            }
            if !at.has("x5c") && !at.has("x5u") {
                self.must(at, "x5c", 27, "neither x5c nor x5u is in the unprotected header");
            }
            if at.text("x5u").is_some_and(|url| !url.starts_with("https://")) {
                self.must(at, "x5u", 27, "x5u is not an HTTPS URL");
            }
            if !at.has("uuid") {
                self.should(at, "uuid", 27, "uuid is missing, by which the vCon is known without being opened");
            }
            let uuid = at.text("uuid").map(str::to_owned);
            signed.push(Signed { pointer, uuid });
        }
        signed
    }

    /// Rule 30, as far as it can be seen from outside.
    fn encrypted(&mut self, jwe: At<'_>) {
        self.required(jwe, &["iv", "tag"], 30);
        self.strings(jwe, &["iv", "ciphertext", "tag", "protected"]);
        let protected = jwe.text("protected").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let protected: Map<String, Value> =
            protected.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let none = Map::new();
        let shared = jwe.get("unprotected").and_then(Value::as_object).unwrap_or(&none);
        let pointer = format!("{}/unprotected", jwe.pointer);
        let at = At::new(&pointer, shared);
        let either = |name: &str| shared.get(name).or_else(|| protected.get(name)).and_then(Value::as_str);
        match either("enc") {
            None => self.must(at, "enc", 30, "enc is in neither header"),
            Some("A256CBC-HS512") => {}
            Some(_) => self.should(at, "enc", 30, "enc is not A256CBC-HS512"),
        }
        if !either("cty").is_some_and(|cty| matches!(cty, "application/vcon" | "application/vcon+gzip")) {
            self.should(at, "cty", 30, "cty is not application/vcon or application/vcon+gzip");
        }
        if !at.has("uuid") {
            self.should(at, "uuid", 30, "uuid is missing, by which the vCon is known without its key");
        }
        let recipients = jwe.get("recipients").and_then(Value::as_array);
        let Some(recipients) = recipients.filter(|list| !list.is_empty()) else {
            return self.must(jwe, "recipients", 30, "there are no recipients");
        };
        for (position, recipient) in recipients.iter().enumerate() {
            let pointer = format!("{}/recipients/{position}", jwe.pointer);
            let members = recipient.as_object().unwrap_or(&none);
            let at = At::new(&pointer, members);
            self.required(at, &["encrypted_key"], 30);
            let header = at.get("header").and_then(|header| header.get("alg")).and_then(Value::as_str);
            match header.or_else(|| either("alg")) {
                None => self.must(at, "header", 30, "no header of this recipient names its alg"),
                Some("RSA-OAEP") => {}
                Some(_) => self.should(at, "header", 30, "alg is not RSA-OAEP, which most can decrypt"),
            }
        }
    }
}

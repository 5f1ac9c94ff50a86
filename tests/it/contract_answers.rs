//! Every answer of a running server against what `/openapi.json` says of it.
//!
//! The schemas allow members that are not named, since answers may grow. Here they do not: a member that is not documented
//! is found.

use std::collections::{BTreeMap, BTreeSet};

use crate::contract::{document, everything, operations};
use crate::fixtures::server::{Answer, Client, InProcess, Place, RECORDING, WitnessPlace, call};
use crate::fixtures::statement::Draft;
use affiant::access::Role;
use serde_json::{Value, json};

/// The document, and what was held against it.
struct Contract {
    document: Value,
    /// Schemas that allow no member but those that they name.
    closed: Value,
    /// Status, method and path.
    seen: BTreeMap<(String, String), BTreeSet<u16>>,
}

impl Contract {
    async fn of(server: &InProcess) -> Self {
        let document = document(server).await;
        let mut closed = document["components"].clone();
        close(&mut closed);
        Self { document, closed, seen: BTreeMap::new() }
    }

    /// What is said of the answer with this status.
    fn response(&self, method: &str, path: &str, status: u16) -> &Value {
        let responses = &self.document["paths"][path][method.to_lowercase()]["responses"];
        let exact = responses.get(status.to_string());
        exact.or_else(|| responses.get(format!("{}XX", status / 100))).unwrap_or_else(|| {
            panic!("{method} {path}: {status} is not documented");
        })
    }

    fn errors(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut schema = schema.clone();
        close(&mut schema);
        let whole = json!({ "components": self.closed, "allOf": [schema] });
        let validator = jsonschema::options().should_validate_formats(true).build(&whole).unwrap();
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }

    /// Holds an answer against what is said of it.
    fn check(&mut self, method: &str, path: &str, answer: &Answer) {
        let what = format!("{method} {path} {}", answer.status);
        let response = self.response(method, path, answer.status);
        let kind = answer.header("content-type").split(';').next().unwrap();
        for name in ["Location", "Content-Disposition", "ETag", "WWW-Authenticate", "Retry-After", "Accept-Encoding"] {
            let is_named = response["headers"].get(name).is_some();
            // The log's own representations are described by tlog-tiles and RFC 9110.
            let is_known = is_named || (name == "ETag" && !path.starts_with("/v1/"));
            assert!(is_known || answer.header(name).is_empty(), "{what}: {name} is not documented");
        }
        match response.get("content") {
            None => assert!(answer.body.is_empty(), "{what}: {answer:?}"),
            Some(content) => {
                let body = content.get(kind).unwrap_or_else(|| panic!("{what}: {kind} is not documented"));
                let schema = &body["schema"];
                let lines: Vec<Value> = match kind {
                    "application/x-ndjson" => {
                        answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
                    }
                    kind if kind.ends_with("json") => vec![answer.json()],
                    _ => {
                        assert_eq!(schema["type"], "string", "{what}");
                        assert_eq!(schema.get("format").is_none(), kind.starts_with("text/"), "{what}");
                        Vec::new()
                    }
                };
                let schema = schema.get("contentSchema").unwrap_or(schema);
                for line in lines {
                    assert_eq!(self.errors(schema, &line), Vec::<String>::new(), "{what}: {line}");
                }
            }
        }
        self.seen.entry((method.to_owned(), path.to_owned())).or_default().insert(answer.status);
    }
}

/// Allows no member that is not named, where members are.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("properties").is_some_and(Value::is_object) && !object.contains_key("additionalProperties") {
                object.insert("additionalProperties".to_owned(), false.into());
            }
            object.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// A server with everything, and who asks it.
struct Asking {
    server: InProcess,
    contract: Contract,
    token: String,
    admin: String,
}

impl Asking {
    /// Asks for `path`, which is `template` filled in, and holds the answer against what is said.
    async fn ask(
        &mut self,
        method: &str,
        template: &str,
        path: &str,
        change: impl FnOnce(Request) -> Request,
    ) -> Answer {
        let token = if template.starts_with("/v1/admin") || method == "DELETE" { &self.admin } else { &self.token };
        let answer = Client::send(change(self.server.client.request(method, path, token))).await;
        self.contract.check(method, template, &answer);
        answer
    }

    async fn get(&mut self, template: &str, path: &str) -> Answer {
        self.ask("GET", template, path, |request| request).await
    }

    async fn post(&mut self, template: &str, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.ask("POST", template, path, |request| request.body(body)).await
    }

    async fn post_json(&mut self, template: &str, path: &str, body: Value) -> Answer {
        self.ask("POST", template, path, |request| request.json(&body)).await
    }
}

type Request = reqwest::RequestBuilder;

async fn records(asking: &mut Asking) -> String {
    let receipt = asking.post("/v1/records", "/v1/records", call(1)).await;
    assert_eq!(receipt.status, 201);
    assert_eq!(asking.post("/v1/records", "/v1/records?wait=accepted", call(1)).await.status, 200);
    assert_eq!(asking.post("/v1/records", "/v1/records?wait=never", call(1)).await.status, 400);
    assert_eq!(asking.post("/v1/records", "/v1/records", "{}").await.status, 422);
    let digest = receipt.json()["record"].as_str().unwrap().to_owned();
    let at = |rest: &str| format!("/v1/records/{digest}{rest}");
    assert_eq!(asking.get("/v1/records", "/v1/records?limit=1").await.status, 200);
    assert_eq!(asking.get("/v1/records", "/v1/records?from=7").await.status, 200);
    let record = asking.get("/v1/records/{id}", &at("")).await;
    assert_eq!(asking.get("/v1/records/{id}", &at("?dialect=draft")).await.status, 200);
    assert_eq!(asking.get("/v1/records/{id}", &at("?dialect=jades&level=b")).await.status, 200);
    assert_eq!(asking.get("/v1/records/{id}", &at("?dialect=jades&level=lta")).await.status, 409);
    assert_eq!(asking.get("/v1/records/{id}", "/v1/records/none").await.status, 404);
    assert_eq!(asking.get("/v1/records/{id}/receipt", &at("/receipt")).await.status, 200);
    let bundle = asking.get("/v1/records/{id}/bundle", &at("/bundle")).await;
    for path in ["/resign", "/renewals"] {
        assert_eq!(asking.post(&format!("/v1/records/{{id}}{path}"), &at(path), "").await.status, 200);
    }
    let events = "/v1/records/{id}/events";
    for (body, status) in [
        (json!({ "operation": "vcon_sent", "number": 1 }), 201),
        (json!({ "operation": "vcon_sent", "number": 1 }), 200),
        (json!({ "operation": "vcon_deleted", "number": 1 }), 409),
        (json!({ "operation": "vcon_deleted", "number": 9 }), 409),
        (json!({ "operation": "lost" }), 400),
    ] {
        assert_eq!(asking.post_json(events, &at("/events"), body).await.status, status);
    }
    assert_eq!(asking.get(events, &at("/events?limit=1")).await.status, 200);
    let lines = [call(1), call(2), b"{}".to_vec(), b"no".to_vec()].join(&b'\n');
    assert_eq!(asking.post("/v1/batches", "/v1/batches", lines).await.text().lines().count(), 4);
    for path in ["/v1/ledger/exports", "/v1/ledger/periods"] {
        assert!(asking.get(path, path).await.text().lines().count() > 3);
        assert_eq!(asking.get(path, &format!("{path}?from=yesterday")).await.status, 400);
    }

    for depth in ["simple", "detailed", "diagnostic"] {
        let path = format!("/v1/verify?depth={depth}");
        for body in [record.body.clone(), bundle.body.clone()] {
            assert_eq!(asking.post("/v1/verify", &path, body).await.status, 200);
        }
    }
    let html = |request: Request| request.header("accept", "text/html").body(record.body.clone());
    assert_eq!(asking.ask("POST", "/v1/verify", "/v1/verify", html).await.status, 200);
    assert_eq!(asking.post("/v1/verify", "/v1/verify", "").await.status, 400);
    let form =
        asking.server.client.verify_form(&bundle.body, &[("call.wav", RECORDING), ("other.wav", b"other")]).await;
    asking.contract.check("POST", "/v1/verify", &form);
    let mut altered = record.json();
    altered["signatures"][0]["signature"] = "AAAA".into();
    let refused = asking.post("/v1/records", "/v1/records", altered.to_string()).await;
    assert!(refused.problem(422, "total-failed")["report"].is_object());
    digest
}

async fn administration(asking: &mut Asking, record: &str) {
    let issuers = "/v1/admin/issuers";
    assert_eq!(asking.get(issuers, issuers).await.status, 200);
    let added = asking.post_json(issuers, issuers, json!({ "name": "Third Calls" })).await;
    assert_eq!(added.status, 201);
    let issuer = added.json()["id"].as_str().unwrap().to_owned();
    let mut certificate = Value::Null;
    for what in ["certificates", "rotate"] {
        let template = format!("/v1/admin/issuers/{{id}}/{what}");
        let made = asking.post(&template, &format!("/v1/admin/issuers/{issuer}/{what}"), "").await;
        assert_eq!(made.status, 201);
        certificate = made.json()["certificate"].clone();
        let none = asking.post(&template, &format!("/v1/admin/issuers/iss_000000000000000000000000/{what}"), "").await;
        assert_eq!(none.status, 404);
    }
    let revocation = json!({ "certificate": certificate, "reason": "superseded" });
    for status in [201, 409] {
        let path = "/v1/admin/revocations";
        assert_eq!(asking.post_json(path, path, revocation.clone()).await.status, status);
    }
    assert_eq!(asking.post("/v1/admin/crls", "/v1/admin/crls", "").await.status, 201);
    for path in ["/v1/admin/archive-timestamps", "/v1/admin/renewals"] {
        assert_eq!(asking.post(path, path, "").await.status, 201);
    }
    let tokens = "/v1/admin/tokens";
    let made = asking.post_json(tokens, tokens, json!({ "role": "issuer", "issuer": issuer })).await;
    assert_eq!(made.status, 201);
    assert_eq!(asking.post_json(tokens, tokens, json!({ "role": "nobody" })).await.status, 400);
    assert_eq!(asking.get(tokens, tokens).await.status, 200);
    let id = made.json()["token"]["id"].as_str().unwrap().to_owned();
    let revoked = asking.ask("DELETE", "/v1/admin/tokens/{id}", &format!("{tokens}/{id}"), |request| request).await;
    assert_eq!(revoked.status, 204);
    let erased = asking.ask("DELETE", "/v1/records/{id}", &format!("/v1/records/{record}"), |request| request).await;
    assert_eq!(erased.status, 204);
    assert_eq!(asking.get("/v1/records/{id}", &format!("/v1/records/{record}")).await.status, 410);
    assert_eq!(asking.get("/v1/records/{id}/receipt", &format!("/v1/records/{record}/receipt")).await.status, 200);
    assert_eq!(asking.get("/v1/records/{id}/events", &format!("/v1/records/{record}/events")).await.status, 200);
}

async fn statements(asking: &mut Asking, statement: Vec<u8>, compatible: Vec<u8>) {
    let cose = |body: Vec<u8>| move |request: Request| request.header("content-type", "application/cose").body(body);
    let registered = asking.ask("POST", "/entries", "/entries", cose(statement)).await;
    assert_eq!(registered.status, 201, "{registered:?}");
    assert_eq!(asking.ask("POST", "/entries", "/entries", cose(Vec::new())).await.status, 400);
    let location = registered.header("location").rsplit('/').next().unwrap().to_owned();
    assert_eq!(asking.get("/entries/{id}", &format!("/entries/{location}")).await.status, 200);
    assert_eq!(asking.get("/entries/{id}", "/entries/none").await.status, 400);
    let taken = asking.ask("POST", "/compatibility/entries", "/compatibility/entries", cose(compatible)).await;
    assert_eq!(taken.status, 201, "{taken:?}");
    let index = taken.header("location").rsplit('/').next().unwrap().to_owned();
    let path = format!("/compatibility/entries/{index}");
    assert_eq!(asking.get("/compatibility/entries/{index}", &path).await.status, 200);
    let set = asking.get("/.well-known/scitt-jwks", "/.well-known/scitt-jwks").await.json();
    let kid = set["keys"][0]["kid"].as_str().unwrap().to_owned();
    assert_eq!(
        asking.get("/.well-known/scitt-keys/{kid}", &format!("/.well-known/scitt-keys/{kid}")).await.status,
        200
    );
    assert_eq!(asking.get("/.well-known/scitt-keys/{kid}", "/.well-known/scitt-keys/AAAA").await.status, 404);
    let erased = asking.ask("DELETE", "/entries/{id}", &format!("/entries/{location}"), |request| request).await;
    assert_eq!(erased.status, 204);
    assert_eq!(asking.ask("DELETE", "/entries/{id}", "/entries/none", |request| request).await.status, 400);
}

/// What is read without anything before it: the path, and what it is filled with.
const READ: &[(&str, &str, u16)] = &[
    ("/", "/", 200),
    ("/docs", "/docs/", 200),
    ("/docs/{file}", "/docs/", 200),
    ("/docs/{file}", "/docs/none", 404),
    ("/docs/verdicts", "/docs/verdicts", 200),
    ("/docs/verdicts", "/docs/verdicts/", 200),
    ("/docs/verdicts/{name}", "/docs/verdicts/TRY_LATER", 200),
    ("/docs/verdicts/{name}", "/docs/verdicts/NONE", 404),
    ("/openapi.json", "/openapi.json", 200),
    ("/healthz", "/healthz", 200),
    ("/readyz", "/readyz", 200),
    ("/metrics", "/metrics", 404),
    ("/v1/certificates", "/v1/certificates", 200),
    ("/v1/certificates/root.pem", "/v1/certificates/root.pem", 200),
    ("/v1/certificates/chain.pem", "/v1/certificates/chain.pem", 200),
    ("/crls/{name}.crl", "/crls/root.crl", 200),
    ("/crls/{name}.crl", "/crls/none.crl", 404),
    ("/certificates/{name}.cer", "/certificates/root.cer", 200),
    ("/certificates/{name}.cer", "/certificates/none.cer", 404),
    ("/ocsp/{request}", "/ocsp/AAAA", 200),
    ("/v1/trust-policy", "/v1/trust-policy", 200),
    ("/v1/schemas/validation-report-1.json", "/v1/schemas/validation-report-1.json", 200),
    ("/checkpoint", "/checkpoint", 200),
    ("/tile/{path}", "/tile/0/000.p/1", 200),
    ("/tile/{path}", "/tile/0/000.p/999", 404),
    ("/statements/checkpoint", "/statements/checkpoint", 200),
    ("/statements/tile/{path}", "/statements/tile/entries/000.p/1", 200),
    ("/v1/ledger/proofs/{index}", "/v1/ledger/proofs/0", 200),
    ("/v1/ledger/proofs/{index}", "/v1/ledger/proofs/999999", 404),
    ("/v1/ledger/policy", "/v1/ledger/policy", 200),
    ("/.well-known/scitt-keys", "/.well-known/scitt-keys", 200),
    ("/.well-known/transparency-configuration", "/.well-known/transparency-configuration", 200),
    ("/compatibility/.well-known/scitt-jwks", "/compatibility/.well-known/scitt-jwks", 200),
    (
        "/compatibility/.well-known/transparency-configuration",
        "/compatibility/.well-known/transparency-configuration",
        200,
    ),
];

#[tokio::test]
async fn every_operation_answers_what_is_documented() {
    let (mut place, client) = everything();
    let witness = WitnessPlace::new();
    let process = witness.serve();
    place.set("witnessing", &witness.settings(&process));
    let (signer, chain) = {
        let credential = place.authority().signer(&place.issuer(0)).unwrap();
        (credential.signer.clone(), credential.chain_der.clone())
    };
    let (token, admin) = (place.issuer_token(0), place.token(Role::Admin, None, false));
    let server = place.serve_now().await;
    let contract = Contract::of(&server).await;
    let mut asking = Asking { server, contract, token, admin };

    let record = records(&mut asking).await;
    let mut compatible = Draft::new(&[]);
    (compatible.algorithm, compatible.payload) = (-7, Some(b"a hash".to_vec()));
    statements(&mut asking, Draft::new(&chain).sign(&*signer), compatible.sign(&client)).await;
    for (template, path, status) in READ {
        let answer = match *template {
            // Those who follow it are there.
            "/docs" => continue,
            template => asking.get(template, path).await,
        };
        assert_eq!(answer.status, *status, "{path}: {answer:?}");
    }
    assert_eq!(asking.post("/ocsp", "/ocsp", vec![0]).await.status, 200);
    administration(&mut asking, &record).await;

    let Asking { server, contract, .. } = asking;
    let good = |method: &str, path: &str| {
        let seen = contract.seen.get(&(method.to_owned(), path.to_owned()));
        seen.is_some_and(|statuses| statuses.iter().any(|status| *status < 300))
    };
    let operations = operations(&contract.document);
    let unseen = operations.iter().filter(|(method, path, _)| !good(method, path)).map(|(_, path, _)| *path);
    // A server of a test has no metrics, and the way to the pages is no answer of its own.
    assert_eq!(unseen.collect::<Vec<_>>(), ["/docs", "/metrics"]);
    server.stop().await;
}

/// What is referred to.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// Clients are generated in languages where `NewX` makes an `X`, and the values of every enumeration share one room.
#[tokio::test]
async fn names_of_schemas_and_values_do_not_meet_in_generated_clients() {
    let server = everything().0.serve().await;
    let document = document(&server).await;
    let mut values = BTreeMap::new();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(!name.starts_with("New"), "{name}");
        for value in schema["enum"].as_array().into_iter().flatten() {
            let value = value.as_str().unwrap().to_uppercase().replace('-', "_");
            let before = values.insert(value.clone(), name);
            assert!(before.is_none(), "{value} is in {before:?} and {name}");
        }
    }
    assert!(values.len() > 10, "{values:?}");
    for (_, path, operation) in operations(&document) {
        assert!(operation.get("requestBody").is_none_or(|body| body["required"] == true), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn every_member_of_a_problem_is_documented() {
    let server = Place::new().serve().await;
    let document = document(&server).await;
    let code = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/server/problem.rs")).unwrap();
    let code: String = code.split_whitespace().collect();
    let with: BTreeSet<_> = code.split(".with(\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(with.len() > 8, "{with:?}");
    let documented = document["components"]["schemas"]["Problem"]["properties"].as_object().unwrap();
    let own = ["type", "title", "status", "detail", "report"];
    let members: BTreeSet<_> = documented.keys().map(String::as_str).filter(|name| !own.contains(name)).collect();
    assert_eq!(members, with);
    server.stop().await;
}

#[tokio::test]
async fn every_kind_of_entry_is_documented() {
    let server = Place::new().serve().await;
    let document = document(&server).await;
    let kinds = document["components"]["schemas"]["LedgerEntry"]["properties"]["kind"]["enum"].as_array().unwrap();
    let kinds: BTreeSet<_> = kinds.iter().map(|kind| kind.as_str().unwrap()).collect();
    // As they are read.
    let code = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/evidence/format/event.rs")).unwrap();
    let arms = code.lines().filter_map(|line| line.trim().strip_prefix('"')?.split_once("\" => "));
    let read: BTreeSet<_> = arms.map(|(kind, _)| kind).filter(|kind| kind.contains('.')).collect();
    assert!(read.len() > 10, "{read:?}");
    assert_eq!(kinds, read);
    server.stop().await;
}

/// Every integer, and whether it is said how wide it may get.
fn widths(value: &Value) -> Vec<(bool, &Value)> {
    match value {
        Value::Object(object) => {
            let own = (object.get("type") == Some(&"integer".into())).then(|| (object.contains_key("format"), value));
            own.into_iter().chain(object.values().flat_map(widths)).collect()
        }
        Value::Array(items) => items.iter().flat_map(widths).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn every_json_answer_has_a_schema_that_asks_for_something() {
    let server = everything().0.serve().await;
    let document = document(&server).await;
    let mut schemas = 0;
    for (method, path, operation) in operations(&document) {
        let bodies = operation["responses"].as_object().unwrap().values().chain(operation.get("requestBody"));
        for content in bodies.filter_map(|body| body["content"].as_object()) {
            for (kind, body) in content {
                assert!(body["schema"].is_object(), "{method} {path}: {kind}");
                schemas += usize::from(kind.ends_with("json"));
            }
        }
    }
    assert!(schemas > 60, "{schemas}");
    let mut targets = BTreeSet::new();
    references(&document, &mut targets);
    assert!(targets.len() > 30, "{targets:?}");
    for target in targets {
        assert!(document.pointer(target.strip_prefix('#').unwrap()).is_some(), "{target}");
    }
    let integers = widths(&document["components"]["schemas"]);
    assert!(integers.len() > 20 && integers.iter().all(|(has_width, _)| *has_width), "{integers:?}");
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let says_something = ["required", "enum", "pattern", "anyOf", "minProperties"];
        assert!(says_something.iter().any(|word| schema.get(word).is_some()), "{name}: {schema}");
        let said = |name: &String| !schema["properties"][name].is_null();
        let required = schema["required"].as_array().into_iter().flatten();
        assert!(required.map(|name| name.as_str().unwrap().to_owned()).all(|name| said(&name)), "{name}: {schema}");
    }
    server.stop().await;
}

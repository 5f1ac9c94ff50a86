//! The OpenAPI document, made of the handlers' own annotations.

use serde_json::{Map, Value, json};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Deprecated, Object, OpenApi as Document, RefOr};
use utoipa::{Modify, OpenApi};

use crate::evidence::report::REPORT_SCHEMA;
use crate::server::problem::{MEMBERS, Problem};

/// The media type of a problem (RFC 9457 §3).
const PROBLEM: &str = "application/problem+json";

/// Paths of the release before, and those that give the same now.
const BEFORE: [(&str, &str); 3] = [
    ("/v1/records/{id}/renewals", "/v1/records/{id}/resign"),
    ("/v1/ledger/periods", "/v1/ledger/exports"),
    ("/v1/admin/renewals", "/v1/admin/archive-timestamps"),
];

/// Documentation that applies to every route.
#[derive(OpenApi)]
#[openapi(
    info(title = "Affiant", description = "An evidence-chain ledger and verification server for vCons."),
    servers((url = "/", description = "This server")),
    components(schemas(Problem)),
    modifiers(&Token)
)]
struct Frame;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// The routes that a server has.
pub(super) struct Routes(Document);

impl Routes {
    pub(super) fn of(routes: Document) -> Self {
        Self(Frame::openapi()).and(routes)
    }

    pub(super) fn and(mut self, routes: Document) -> Self {
        self.0.merge(routes);
        self
    }

    /// The same routes once more, below `path`: their operations have names of their own.
    pub(super) fn and_below(self, path: &str, mut routes: Document) -> Self {
        let before = format!("{}_", path.trim_matches('/'));
        for operation in routes.paths.paths.values_mut().flat_map(operations) {
            rename(operation, |name| format!("{before}{name}"));
        }
        Self(self.0.nest(path, routes))
    }

    /// The whole document.
    pub(super) fn document(self) -> Value {
        let mut document = self.0;
        for (path, now) in BEFORE {
            let mut item = document.paths.paths.get(now).cloned().expect("a path that is served");
            for operation in operations(&mut item) {
                rename(operation, |name| format!("{name}_before"));
                operation.deprecated = Some(Deprecated::True);
            }
            document.paths.paths.insert(path.to_owned(), item);
        }
        for operation in document.paths.paths.values_mut().flat_map(operations) {
            // Said of every operation, so that nobody has to know what it means where nothing is said.
            operation.security.get_or_insert_default();
            describe_problems(operation);
        }
        let mut document = serde_json::to_value(document).expect("a document is JSON");
        let schemas = document["components"]["schemas"].as_object_mut().expect("there are schemas");
        schemas.append(&mut shapes_without_a_type());
        schemas.append(&mut report_schemas());
        describe_members(&mut schemas["Problem"]);
        schemas.values_mut().for_each(|schema| at_every_object(schema, &mut widen));
        describe_bodies(&mut document["paths"]);
        document
    }
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.get, &mut path.post, &mut path.put, &mut path.delete].into_iter().flatten()
}

fn rename(operation: &mut Operation, name: impl FnOnce(&str) -> String) {
    operation.operation_id = operation.operation_id.as_deref().map(name);
}

/// Says of every answer that is a problem what it is (RFC 9457): the same everywhere.
fn describe_problems(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            "What is wrong, or what to wait for".clone_into(&mut response.description);
            response.content = response.content.drain(..).map(|(_, content)| (PROBLEM.to_owned(), content)).collect();
        }
    }
    // A server that is busy, or has a fault, says so in the same form.
    let responses = &mut operation.responses.responses;
    if let Some(wrong) = responses.get("4XX").cloned() {
        responses.insert("5XX".to_owned(), wrong);
    }
    for (status, name, what) in [
        ("4XX", "WWW-Authenticate", "With 401: Bearer"),
        ("4XX", "Retry-After", "With 429: seconds"),
        ("4XX", "Accept-Encoding", "With 415: what is taken"),
        ("5XX", "Retry-After", "With 503: seconds"),
    ] {
        if let Some(RefOr::T(response)) = responses.get_mut(status) {
            let header =
                HeaderBuilder::new().schema(Some(Object::with_type(Type::String))).description(Some(what)).build();
            response.headers.insert(name.to_owned(), header.into());
        }
    }
}

/// Schemas of what is passed on as it is, or made of a table.
fn shapes_without_a_type() -> Map<String, Value> {
    serde_json::from_str(include_str!("schemas.json")).expect("it is an object")
}

/// The report's own schema, with its definitions beside it: `#/$defs/row` is `ReportRow` here.
fn report_schemas() -> Map<String, Value> {
    let mut report: Map<String, Value> = serde_json::from_str(REPORT_SCHEMA).expect("the schema is an object");
    // An identifier of its own would be what references are relative to.
    report.retain(|name, _| !matches!(name.as_str(), "$schema" | "$id"));
    let Some(Value::Object(definitions)) = report.remove("$defs") else { return Map::new() };
    // Enumerations stand where they are used: generated clients keep the values of all named ones in one room, and a
    // certificate is `revoked` as a verdict is.
    let (words, shapes): (Vec<_>, Vec<_>) =
        definitions.into_iter().partition(|(_, schema)| schema.get("enum").is_some());
    let words: Map<String, Value> = words.into_iter().collect();
    let mut schemas = Map::from_iter([("ValidationReport".to_owned(), Value::Object(report))]);
    schemas.extend(shapes.into_iter().map(|(name, schema)| (report_part(&name), schema)));
    schemas.values_mut().for_each(|schema| {
        at_every_object(schema, &mut |object| {
            let target = object.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix("#/$defs/"));
            let Some(name) = target.map(str::to_owned) else { return };
            match words.get(&name) {
                Some(Value::Object(word)) => object.clone_from(word),
                _ => object["$ref"] = format!("#/components/schemas/{}", report_part(&name)).into(),
            }
        });
    });
    schemas
}

/// `certificate` as `ReportCertificate`.
fn report_part(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    });
    std::iter::once("Report".to_owned()).chain(words).collect()
}

fn at_every_object(value: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            change(object);
            object.values_mut().for_each(|member| at_every_object(member, change));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| at_every_object(item, change)),
        _ => {}
    }
}

/// Says of a number how wide it may get, where its type does not: a ledger has more entries than 32 bits count.
fn widen(schema: &mut Map<String, Value>) {
    if schema.get("type").is_some_and(|kind| kind == "integer") && !schema.contains_key("format") {
        schema.insert("format".to_owned(), "int64".into());
    }
}

/// Adds the members that some problems have.
fn describe_members(problem: &mut Value) {
    for (name, kind, what) in MEMBERS {
        problem["properties"][*name] = json!({ "type": kind, "description": what });
    }
}

/// Gives bodies that are no JSON their schemas, by their media types; and says that every body that is taken is needed.
fn describe_bodies(paths: &mut Value) {
    let items = paths.as_object_mut().into_iter().flat_map(Map::values_mut);
    for operation in items.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        if let Some(body) = operation.get_mut("requestBody") {
            body["required"] = true.into();
            describe_content(body, false);
        }
        let responses = operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut);
        responses.for_each(|response| describe_content(response, true));
    }
}

fn describe_content(body: &mut Value, is_answer: bool) {
    let Some(Value::Object(content)) = body.get_mut("content") else { return };
    for (kind, body) in content.iter_mut() {
        match kind.as_str() {
            "application/x-ndjson" => {
                // `contentSchema` is that of each line. Generated clients send text as it is, and take it only as `text/…`.
                let line = body["schema"].take();
                body["schema"] = json!({ "type": "string", "contentMediaType": kind, "contentSchema": line });
                if is_answer {
                    body["schema"]["format"] = "binary".into();
                }
            }
            "multipart/form-data" => {
                body["encoding"] = json!({
                    "record": { "contentType": "application/vcon+json, application/zip" },
                    "recording": { "contentType": "application/octet-stream" },
                });
            }
            text if text.starts_with("text/") => body["schema"] = json!({ "type": "string" }),
            structured if structured.ends_with("json") => {}
            _ => body["schema"] = json!({ "type": "string", "format": "binary" }),
        }
    }
    // Generators of clients take the first: the form takes all that the others do.
    if let Some(form) = content.shift_remove("multipart/form-data") {
        content.shift_insert(0, "multipart/form-data".to_owned(), form);
    }
}

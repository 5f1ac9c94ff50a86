//! The contract of `/openapi.json`: every route and no other, and which need a token.

use std::collections::BTreeSet;
use std::path::Path;

use crate::fixtures::server::{Client, InProcess, Place};
use affiant::crypto::{Signer as _, SigningKey};
use serde_json::Value;

/// A server with everything that can be switched on, and who may put a payload into its compatibility log.
pub(crate) fn everything() -> (Place, SigningKey) {
    let mut place = Place::new();
    let (client, _) = SigningKey::generate_p256();
    let keys = place.path().join("client.pem");
    std::fs::write(&keys, affiant::pki::to_pem("PUBLIC KEY", client.verifying_key().spki_der())).unwrap();
    place.set("statements", &format!("enabled = true\ncompatibility_keys = {keys:?}"));
    (place, client)
}

pub(crate) async fn document(server: &InProcess) -> Value {
    let answer = server.client.get("/openapi.json", "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    answer.json()
}

/// Each operation, as its method, its path and what is said of it.
pub(crate) fn operations(document: &Value) -> Vec<(String, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let items = paths.flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (method, path.as_str(), operation))
    });
    items.map(|(method, path, operation)| (method.to_uppercase(), path, operation)).collect()
}

/// A path without the pattern that a parameter of it has: `/tile/{path:.*}` is documented as `/tile/{path}`.
fn without_patterns(path: &str) -> String {
    let mut plain = String::new();
    for (position, piece) in path.split('{').enumerate() {
        match piece.split_once('}') {
            Some((name, rest)) if position > 0 => {
                plain.push_str(&format!("{{{}}}{rest}", name.split(':').next().unwrap()));
            }
            _ => plain.push_str(piece),
        }
    }
    plain
}

/// The routes that the code configures, as a method and a path: by attribute, by `read`, or in any other way.
fn routes_in(code: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    // Wherever a line was broken.
    let code: String = code.split_whitespace().collect();
    for (begin, method) in [
        ("#[get(\"", "GET"),
        ("#[post(\"", "POST"),
        ("#[put(\"", "PUT"),
        ("#[patch(\"", "PATCH"),
        ("#[delete(\"", "DELETE"),
        ("(read(\"", "GET"),
        (".route(\"", "any"),
        ("web::resource(\"", "any"),
        ("web::scope(\"", "any"),
        ("web::redirect(\"", "any"),
        ("SwaggerUi::new(\"", "any"),
    ] {
        for rest in code.split(begin).skip(1) {
            let path = without_patterns(rest.split('"').next().unwrap());
            // With a slash at its end and without, a page is one.
            let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(&path).to_owned();
            found.insert((method.to_owned(), path));
        }
    }
    found
}

fn routes_of_the_code() -> BTreeSet<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/routes");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| cfg!(feature = "browser") || !path.ends_with("in_browser.rs"));
    files.flat_map(|path| routes_in(&std::fs::read_to_string(path).unwrap())).collect()
}

#[tokio::test]
async fn the_document_has_every_route_of_the_code_and_no_other() {
    let (place, _) = everything();
    let server = place.serve().await;
    let document = document(&server).await;
    let documented: BTreeSet<_> =
        operations(&document).into_iter().map(|(method, path, _)| (method, path.to_owned())).collect();
    let configured = routes_of_the_code();
    assert!(configured.len() > 50, "{configured:?}");
    let unsaid: Vec<_> = configured.difference(&documented).collect();
    let unserved: Vec<_> = documented.difference(&configured).collect();
    assert_eq!((unsaid, unserved), (Vec::new(), Vec::new()));
    server.stop().await;
}

#[test]
fn a_route_is_seen_however_it_is_configured() {
    let code =
        "#[get(\"/a/{path:.*}\")]\n.service(read(\n \"/b\", log))\nweb::resource(\"/c\")\n#[delete(\"/d/{id}.cer\")]";
    let routes = routes_in(code);
    let expected = [("DELETE", "/d/{id}.cer"), ("GET", "/a/{path}"), ("GET", "/b"), ("any", "/c")];
    assert!(routes.iter().map(|(method, path)| (method.as_str(), path.as_str())).eq(expected), "{routes:?}");
}

/// A path with something in place of each parameter.
fn filled(path: &str) -> String {
    let of = |name: &str| if name == "index" { "0" } else { "something" };
    let mut pieces = path.split('{');
    let mut filled = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once('}').unwrap();
        filled.push_str(&format!("{}{rest}", of(name)));
    }
    filled
}

/// Whether an operation needs a token. Each says one or the other.
fn needs_token(operation: &Value) -> bool {
    match operation["security"].as_array().unwrap().as_slice() {
        [] => false,
        [requirement] => requirement["token"].as_array().unwrap().is_empty(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_operation_is_there_and_asks_for_a_token_where_the_document_says_so() {
    let (place, _) = everything();
    let server = place.serve().await;
    let document = document(&server).await;
    let scheme = &document["components"]["securitySchemes"]["token"];
    assert_eq!((&scheme["type"], &scheme["scheme"]), (&"http".into(), &"bearer".into()));
    let mut needing = 0;
    for (method, path, operation) in operations(&document) {
        let answer = Client::send(server.client.request(&method, &filled(path), "")).await;
        assert_eq!(answer.status == 401, needs_token(operation), "{method} {path}: {answer:?}");
        assert!(answer.status != 405 && !answer.body.ends_with(b"no such resource\"}"), "{method} {path}: {answer:?}");
        if needs_token(operation) {
            needing += 1;
            answer.problem(401, "unauthorized");
            let wrong = Client::send(server.client.request(&method, &filled(path), "aff_wrong")).await;
            wrong.problem(401, "unauthorized");
        }
    }
    assert!((20..40).contains(&needing), "{needing}");
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_served_is_not_documented() {
    let server = Place::new().serve().await;
    let document = document(&server).await;
    for path in ["/entries", "/statements/checkpoint", "/compatibility/entries", "/.well-known/scitt-keys"] {
        assert!(document["paths"].get(path).is_none(), "{path}");
        server.client.get(path, "").await.problem(404, "not-found");
    }
    server.stop().await;
}

#[tokio::test]
async fn every_answer_is_described_and_every_operation_has_a_name_of_its_own() {
    let server = everything().0.serve().await;
    let document = document(&server).await;
    let mut names = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name), "{name} of {method} {path}");
        assert!(operation["summary"].is_string() && operation["tags"].is_array(), "{method} {path}");
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path} {status}");
            let is_problem = response.to_string().contains("schemas/Problem\"");
            let kinds = response["content"].as_object().into_iter().flatten();
            let says_so = kinds.map(|(kind, _)| kind.as_str()).eq(["application/problem+json"]);
            assert!(!is_problem || says_so, "{method} {path} {status}");
        }
    }
    server.stop().await;
}

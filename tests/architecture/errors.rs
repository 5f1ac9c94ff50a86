//! Errors that would be printed twice: whose message holds a cause that they also give as their source.

/// The errors of a file whose message holds their source: the line of each, and its message.
pub(crate) fn told_twice(text: &str) -> Vec<(usize, &str)> {
    let marker = "#[error(\"";
    let messages = text.match_indices(marker).filter_map(|(at, _)| {
        let message = &text[at + marker.len()..];
        let message = &message[..message.find("\")]").or_else(|| message.find("\","))?];
        let item = &text[at + marker.len() + message.len()..];
        let end = ["#[error(", "\n}"].iter().filter_map(|end| item.find(end)).min().unwrap_or(item.len());
        let holds = |field: &str| message.contains(&format!("{{{field}}}")) || message.contains(&format!("{{{field}:"));
        let line = text[..at].lines().count() + 1;
        sources(&item[..end]).iter().any(|field| holds(field)).then_some((line, message))
    });
    messages.collect()
}

/// The fields of a variant that are its source, as a message names them.
fn sources(item: &str) -> Vec<&str> {
    let mut fields = Vec::new();
    for attribute in ["#[from]", "#[source]"] {
        for (at, _) in item.match_indices(attribute) {
            let before = item[..at].trim_end();
            let rest = item[at + attribute.len()..].trim_start();
            let name = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())];
            // Of more than one field in parentheses a source was never the second.
            fields.push(if before.ends_with('(') { "0" } else { name });
        }
    }
    // What `thiserror` takes for one by its name.
    if item.contains(" source:") {
        fields.push("source");
    }
    fields
}

#[test]
fn a_cause_that_is_told_twice_is_seen_and_one_that_is_told_once_is_not() {
    let twice = [
        "#[error(\"the file: {0}\")]\nIo(#[from] io::Error),",
        "#[error(\"{0:?} of the file\")]\n/// Why.\nIo(#[source] io::Error),",
        "#[error(\"{path}: {source}\")]\nIo {\n    path: PathBuf,\n    source: io::Error,\n},",
        "#[error(\"{path}: {cause}\")]\nIo {\n    path: PathBuf,\n    #[source]\n    cause: io::Error,\n},",
    ];
    let once = [
        "#[error(\"the file: {0}\")]\nIo(io::Error),\n#[error(transparent)]\nOther(#[from] Error),",
        "#[error(\"the file\")]\nIo(#[from] io::Error),",
        "#[error(\"{path}: {cause}\")]\nIo { path: PathBuf, cause: io::Error },",
    ];
    assert!(twice.iter().all(|text| told_twice(text).len() == 1));
    assert!(once.iter().all(|text| told_twice(text).is_empty()));
}

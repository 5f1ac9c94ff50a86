//! The length of functions.

/// Lines of a function, signature and closing brace included.
const FUNCTION_LINES_MAX: usize = 70;

/// The functions of some code, formatted as `rustfmt` does, that are too long: line, name and length.
pub(crate) fn too_long<'a>(lines: impl IntoIterator<Item = (usize, &'a str)>) -> Vec<(usize, String, usize)> {
    let mut found = Vec::new();
    let mut open: Vec<(usize, usize, String)> = Vec::new();
    for (number, line) in lines {
        let indent = line.len() - line.trim_start().len();
        let text = line.trim_start();
        if text.starts_with('}')
            && let Some(at) = open.iter().rposition(|(depth, ..)| *depth == indent)
        {
            for (depth, start, name) in open.split_off(at) {
                let length = number + 1 - start;
                if depth == indent && length > FUNCTION_LINES_MAX {
                    found.push((start, name, length));
                }
            }
        }
        if let Some(name) = name_of(text).filter(|_| !text.ends_with(['}', ';'])) {
            open.retain(|(depth, ..)| *depth < indent);
            open.push((indent, number, name));
        }
    }
    found
}

/// The name of the function that begins on a line.
fn name_of(text: &str) -> Option<String> {
    let (before, rest) = text.split_once("fn ")?;
    let qualifiers = ["pub", "pub(super)", "pub(crate)", "async", "const", "unsafe"];
    let is_function = before.split_whitespace().all(|word| qualifiers.contains(&word) || word.starts_with("pub(in"));
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (is_function && !name.is_empty()).then_some(name)
}

#[test]
fn a_long_function_is_seen_and_a_short_one_is_not() {
    let function = |lines: usize| {
        let body = "        call();\n".repeat(lines - 3);
        let text = format!(
            "impl X {{\n    pub(super) fn x(\n        a: A,\n    ) -> B {{\n{body}    }}\n\n    fn y() {{}}\n}}\n"
        );
        too_long(text.lines().enumerate().map(|(at, line)| (at + 1, line)))
    };
    assert_eq!(function(FUNCTION_LINES_MAX - 1), []);
    assert_eq!(function(FUNCTION_LINES_MAX), [(2, "x".to_owned(), FUNCTION_LINES_MAX + 1)]);
    let long = "    call();\n".repeat(FUNCTION_LINES_MAX);
    let text = format!("fn outer() {{\n    let inner = || {{\n        one();\n    }};\n{long}}}\n");
    assert_eq!(too_long(text.lines().enumerate()).len(), 1);
}

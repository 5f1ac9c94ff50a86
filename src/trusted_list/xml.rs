//! What of XML is read of a trusted list: elements by namespace and name.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::Node;

/// Elements of TS 119 612 (annex C).
pub(super) const LIST: &str = "http://uri.etsi.org/02231/v2#";
/// Elements of XML signatures (XMLDSig §1.3).
pub(super) const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
/// The attributes that every document may have.
pub(super) const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// The children of `node` with a name.
pub(super) fn children<'a>(
    node: Node<'a, 'a>,
    namespace: &'a str,
    name: &'a str,
) -> impl Iterator<Item = Node<'a, 'a>> + 'a {
    node.children().filter(move |child| child.has_tag_name((namespace, name)))
}

/// The first child of `node` with a name.
pub(super) fn child<'a>(node: Node<'a, 'a>, namespace: &'a str, name: &'a str) -> Option<Node<'a, 'a>> {
    children(node, namespace, name).next()
}

/// The element that a path of names of the list leads to.
pub(super) fn at<'a>(node: Node<'a, 'a>, path: &[&'a str]) -> Option<Node<'a, 'a>> {
    path.iter().try_fold(node, |node, name| child(node, LIST, name))
}

/// The text of an element, without the space around it.
pub(super) fn text<'a>(node: Node<'a, 'a>) -> Cow<'a, str> {
    let mut pieces = node.children().filter(Node::is_text).filter_map(|child| child.text());
    let first = pieces.next().unwrap_or_default();
    match pieces.next() {
        None => Cow::Borrowed(first.trim()),
        Some(second) => Cow::Owned([first, second].into_iter().chain(pieces).collect::<String>().trim().to_owned()),
    }
}

/// The bytes that an element has in base64, with white space anywhere in it.
pub(super) fn base64(node: Node<'_, '_>) -> Option<Vec<u8>> {
    let packed: String = text(node).chars().filter(|one| !one.is_ascii_whitespace()).collect();
    STANDARD.decode(packed).ok()
}

/// The name in English, else the first that there is, of an element with a `Name` for each language.
pub(super) fn name(node: Node<'_, '_>) -> Option<String> {
    let english =
        |name: &Node<'_, '_>| name.attribute((XML, "lang")).is_some_and(|lang| lang.eq_ignore_ascii_case("en"));
    let name = children(node, LIST, "Name").find(english).or_else(|| child(node, LIST, "Name"))?;
    Some(text(name).split_whitespace().collect::<Vec<_>>().join(" "))
}

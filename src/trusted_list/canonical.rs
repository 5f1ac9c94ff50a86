//! Canonical XML, without comments: the bytes of a subtree that are hashed and signed.
//!
//! Sources: Canonical XML 1.0 (<https://www.w3.org/TR/2001/REC-xml-c14n-20010315>) and Exclusive XML Canonicalization 1.0
//! (<https://www.w3.org/TR/xml-exc-c14n/>).

use std::collections::{BTreeSet, HashMap};

use roxmltree::{Attribute, Node, NodeId, NodeType};

use super::xml::XML;

/// Which declarations of namespaces are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Canonicalization<'a> {
    /// All that are in scope, and the attributes of XML that a subtree inherits: Canonical XML 1.0.
    Inclusive,
    /// Those that are used, and of these prefixes those that are in scope (`#default` for the default one).
    Exclusive(Vec<&'a str>),
}

/// The canonical bytes of `apex`, a document or an element, without the subtree of `omitted`.
pub(super) fn canonicalize<'a>(
    apex: Node<'a, 'a>,
    omitted: Option<NodeId>,
    method: &'a Canonicalization<'a>,
) -> Vec<u8> {
    let mut writer = Writer { out: Vec::new(), open: Vec::new(), rendered: HashMap::new(), method };
    let mut node = apex;
    loop {
        if Some(node.id()) != omitted {
            writer.open(node);
            if let Some(first) = node.first_child() {
                node = first;
                continue;
            }
            writer.close(node);
        }
        node = loop {
            if node == apex {
                return writer.out;
            }
            if let Some(next) = node.next_sibling() {
                break next;
            }
            let Some(parent) = node.parent() else { return writer.out };
            writer.close(parent);
            node = parent;
        };
    }
}

struct Writer<'a> {
    out: Vec<u8>,
    /// Prefixes (empty for the default) that each open element declares, outermost first.
    open: Vec<Vec<&'a str>>,
    /// What each prefix was declared as by the open elements, innermost last.
    rendered: HashMap<&'a str, Vec<&'a str>>,
    method: &'a Canonicalization<'a>,
}

impl<'a> Writer<'a> {
    fn open(&mut self, node: Node<'a, 'a>) {
        match node.node_type() {
            NodeType::Element => self.element(node),
            NodeType::Text => escape(&mut self.out, node.text().unwrap_or_default(), false),
            NodeType::PI => self.instruction(node),
            NodeType::Comment | NodeType::Root => {}
        }
    }

    fn element(&mut self, node: Node<'a, 'a>) {
        let name = qualified_name(node);
        let mut attributes: Vec<Attribute<'a, 'a>> = node.attributes().collect();
        let mut prefixes = BTreeSet::from([prefix(name)]);
        prefixes.extend(attributes.iter().map(|one| prefix(attribute_name(node, one))).filter(|one| !one.is_empty()));
        match self.method {
            Canonicalization::Exclusive(inclusive) => {
                let inclusive = inclusive.iter().map(|one| if *one == "#default" { "" } else { *one });
                prefixes.extend(inclusive.filter(|prefix| !in_scope(node, prefix).is_empty()));
            }
            Canonicalization::Inclusive => {
                prefixes.extend(node.namespaces().map(|one| one.name().unwrap_or_default()));
                if self.open.is_empty() {
                    add_inherited(node, &mut attributes);
                }
            }
        }
        prefixes.remove("xml");
        attributes.sort_by_key(|attribute| (attribute.namespace().unwrap_or_default(), attribute.name()));
        let used = prefixes.into_iter().map(|prefix| (prefix, in_scope(node, prefix)));
        let new: Vec<(&str, &str)> = used.filter(|(prefix, uri)| self.rendered(prefix) != *uri).collect();

        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        for (prefix, uri) in &new {
            let declared = if prefix.is_empty() { " xmlns" } else { " xmlns:" };
            self.attribute(&[declared, prefix].concat(), uri);
        }
        for attribute in &attributes {
            let name = if attribute.namespace() == Some(XML) {
                ["xml:", attribute.name()].concat()
            } else {
                attribute_name(node, attribute).to_owned()
            };
            self.attribute(&[" ", &name].concat(), attribute.value());
        }
        self.out.push(b'>');
        for (prefix, uri) in &new {
            self.rendered.entry(prefix).or_default().push(uri);
        }
        self.open.push(new.into_iter().map(|(prefix, _)| prefix).collect());
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"=\"");
        escape(&mut self.out, value, true);
        self.out.push(b'"');
    }

    /// The URI that `prefix` was last written with; empty where it was not.
    fn rendered(&self, prefix: &str) -> &'a str {
        self.rendered.get(prefix).and_then(|written| written.last()).copied().unwrap_or_default()
    }

    fn close(&mut self, node: Node<'a, 'a>) {
        if node.is_element() {
            self.out.extend_from_slice(b"</");
            self.out.extend_from_slice(qualified_name(node).as_bytes());
            self.out.push(b'>');
            for prefix in self.open.pop().unwrap_or_default() {
                self.rendered.get_mut(prefix).and_then(Vec::pop);
            }
        }
    }

    /// A processing instruction; one beside the root element has a line of its own (Canonical XML §2.3).
    fn instruction(&mut self, node: Node<'a, 'a>) {
        let Some(instruction) = node.pi() else { return };
        let outside = node.parent().is_some_and(|parent| parent.is_root());
        let behind = outside && node.prev_siblings().any(|sibling| sibling.id() != node.id() && sibling.is_element());
        if behind {
            self.out.push(b'\n');
        }
        self.out.extend_from_slice(b"<?");
        self.out.extend_from_slice(instruction.target.as_bytes());
        if let Some(value) = instruction.value {
            self.out.push(b' ');
            self.out.extend_from_slice(value.replace('\r', "&#xD;").as_bytes());
        }
        self.out.extend_from_slice(b"?>");
        if outside && !behind {
            self.out.push(b'\n');
        }
    }
}

/// Adds the attributes of XML, such as `xml:lang`, that the apex has from those around it (Canonical XML §2.4).
fn add_inherited<'a>(apex: Node<'a, 'a>, attributes: &mut Vec<Attribute<'a, 'a>>) {
    for around in apex.ancestors().skip(1) {
        for attribute in around.attributes().filter(|one| one.namespace() == Some(XML)) {
            if !attributes.iter().any(|one| one.namespace() == Some(XML) && one.name() == attribute.name()) {
                attributes.push(attribute);
            }
        }
    }
}

/// The name of an element as the document has it, with its prefix.
fn qualified_name<'a>(node: Node<'a, 'a>) -> &'a str {
    let tag = &node.document().input_text()[node.range()];
    let name = tag.strip_prefix('<').unwrap_or(tag);
    let end = name.find(|one: char| one.is_ascii_whitespace() || matches!(one, '/' | '>'));
    &name[..end.unwrap_or(name.len())]
}

fn attribute_name<'a>(node: Node<'a, 'a>, attribute: &Attribute<'a, 'a>) -> &'a str {
    &node.document().input_text()[attribute.range_qname()]
}

fn prefix(name: &str) -> &str {
    name.split_once(':').map_or("", |(prefix, _)| prefix)
}

/// The URI that `prefix` stands for at `node`; empty where it stands for none.
fn in_scope<'a>(node: Node<'a, 'a>, prefix: &str) -> &'a str {
    let name = (!prefix.is_empty()).then_some(prefix);
    node.lookup_namespace_uri(name).unwrap_or_default()
}

/// Writes text as Canonical XML §2.3 wants it, of an attribute or of an element.
fn escape(out: &mut Vec<u8>, text: &str, attribute: bool) {
    for byte in text.bytes() {
        let written: &[u8] = match byte {
            b'&' => b"&amp;",
            b'<' => b"&lt;",
            b'>' if !attribute => b"&gt;",
            b'"' if attribute => b"&quot;",
            b'\t' if attribute => b"&#x9;",
            b'\n' if attribute => b"&#xA;",
            b'\r' => b"&#xD;",
            _ => {
                out.push(byte);
                continue;
            }
        };
        out.extend_from_slice(written);
    }
}

#[cfg(test)]
mod tests {
    use roxmltree::Document;

    use super::*;

    fn canonical(text: &str, inclusive: &[&str]) -> String {
        let document = Document::parse(text).unwrap();
        let method = Canonicalization::Exclusive(inclusive.to_vec());
        String::from_utf8(canonicalize(document.root(), None, &method)).unwrap()
    }

    fn subtree(text: &str, name: &str, method: &Canonicalization<'_>) -> String {
        let document = Document::parse(text).unwrap();
        let apex = document.descendants().find(|node| node.tag_name().name() == name).unwrap();
        String::from_utf8(canonicalize(apex, None, method)).unwrap()
    }

    fn exclusive<'a>(prefixes: &[&'a str]) -> Canonicalization<'a> {
        Canonicalization::Exclusive(prefixes.to_vec())
    }

    /// Canonical XML 1.0 §3.1, §3.3, §3.4, without the parts of document type definitions.
    #[test]
    fn the_examples_of_canonical_xml() {
        let document = "<?xml version=\"1.0\"?>\n\n<?xml-stylesheet   href=\"doc.xsl\"\n   type=\"text/xsl\"   ?>\n\n\
                        <doc>Hello, world!<!-- Comment 1 --></doc>\n\n<?pi-without-data     ?>\n\n<!-- Comment 2 -->\n";
        assert_eq!(
            canonical(document, &[]),
            "<?xml-stylesheet href=\"doc.xsl\"\n   type=\"text/xsl\"   ?>\n<doc>Hello, world!</doc>\n<?pi-without-data?>"
        );
        let tags = "<doc>\n   <e1   />\n   <e2   ></e2>\n   <e3   name = \"elem3\"   id=\"elem3\"   />\n\
                    <e5 a:attr=\"out\" b:attr=\"sorted\" attr2=\"all\" attr=\"I'm\"\n\
                    xmlns:b=\"http://www.ietf.org\"\nxmlns:a=\"http://www.w3.org\"\nxmlns=\"http://example.org\"/>\n</doc>";
        assert_eq!(
            canonical(tags, &[]),
            "<doc>\n   <e1></e1>\n   <e2></e2>\n   <e3 id=\"elem3\" name=\"elem3\"></e3>\n\
             <e5 xmlns=\"http://example.org\" xmlns:a=\"http://www.w3.org\" xmlns:b=\"http://www.ietf.org\" attr=\"I'm\" \
             attr2=\"all\" b:attr=\"sorted\" a:attr=\"out\"></e5>\n</doc>"
        );
        let characters = "<doc>\r\n   <text>First line&#x0d;&#10;Second line</text>\n   <value>&#x32;</value>\n   \
                          <compute><![CDATA[value>\"0\" && value<\"10\" ?\"valid\":\"error\"]]></compute>\n   \
                          <norm attr=' &apos;   &#x20;&#13;&#xa;&#9;   &apos; '/></doc>";
        assert_eq!(
            canonical(characters, &[]),
            "<doc>\n   <text>First line&#xD;\nSecond line</text>\n   <value>2</value>\n   \
             <compute>value&gt;\"0\" &amp;&amp; value&lt;\"10\" ?\"valid\":\"error\"</compute>\n   \
             <norm attr=\" '    &#xD;&#xA;&#x9;   ' \"></norm></doc>"
        );
    }

    /// Exclusive XML Canonicalization §2.2: the same subtree in two surroundings has the same bytes.
    #[test]
    fn a_subtree_is_written_without_what_it_does_not_use() {
        let expected = "<n1:elem2 xmlns:n1=\"http://example.net\" xml:lang=\"en\">\n  \
                        <n3:stuff xmlns:n3=\"ftp://example.org\"></n3:stuff>\n</n1:elem2>";
        let inner = "<n1:elem2 xmlns:n1=\"http://example.net\" xml:lang=\"en\">\n  \
                     <n3:stuff xmlns:n3=\"ftp://example.org\"/>\n</n1:elem2>";
        let first = format!("<n0:pdu xmlns:n0=\"http://a.example\">{inner}</n0:pdu>");
        let second =
            format!("<n2:pdu xmlns:n1=\"http://example.com\" xmlns:n2=\"http://foo.example\">{inner}</n2:pdu>");
        assert_eq!(subtree(&first, "elem2", &exclusive(&[])), expected);
        assert_eq!(subtree(&second, "elem2", &exclusive(&[])), expected);
    }

    #[test]
    fn default_namespaces_are_undone_and_prefixes_included_where_they_are_asked_for() {
        let text = "<a xmlns=\"urn:a\" xmlns:x=\"urn:x\"><b xmlns=\"\"><c/></b><x:d><e xmlns=\"urn:a\"/></x:d></a>";
        assert_eq!(
            canonical(text, &[]),
            "<a xmlns=\"urn:a\"><b xmlns=\"\"><c></c></b><x:d xmlns:x=\"urn:x\"><e></e></x:d></a>"
        );
        assert_eq!(
            subtree(text, "d", &exclusive(&["#default"])),
            "<x:d xmlns=\"urn:a\" xmlns:x=\"urn:x\"><e></e></x:d>"
        );
        assert_eq!(subtree(text, "c", &exclusive(&["x"])), "<c xmlns:x=\"urn:x\"></c>");
    }

    /// Exclusive XML Canonicalization §2.1: what Canonical XML makes of the second surrounding.
    #[test]
    fn inclusively_a_subtree_has_all_that_is_in_scope() {
        let text = "<n2:pdu xmlns:n1=\"http://example.com\" xmlns:n2=\"http://foo.example\" xml:lang=\"fr\" \
                    xml:space=\"retain\"><n1:elem2 xmlns:n1=\"http://example.net\" xml:lang=\"en\">\
                    <n3:stuff xmlns:n3=\"ftp://example.org\"/></n1:elem2></n2:pdu>";
        assert_eq!(
            subtree(text, "elem2", &Canonicalization::Inclusive),
            "<n1:elem2 xmlns:n1=\"http://example.net\" xmlns:n2=\"http://foo.example\" xml:lang=\"en\" \
             xml:space=\"retain\"><n3:stuff xmlns:n3=\"ftp://example.org\"></n3:stuff></n1:elem2>"
        );
    }
}

//! Checkpoints: the origin, size and root of a log, as text (c2sp.org/tlog-checkpoint).

use std::fmt;

use super::merkle::RootHash;
use super::parse_decimal;
use super::position::TreeSize;

/// Why a text is not a checkpoint.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CheckpointTextError {
    /// Fewer than three lines, an empty one, or no newline at the end.
    #[error("a checkpoint is an origin, a size, a root and extensions, a line each, none of them empty")]
    Structure,
    /// The second line is not a number of 64 bits without leading zeros.
    #[error("the tree size is not a decimal number without leading zeros")]
    Size,
    /// The third line is not the base64 of 32 bytes.
    #[error("the root is not the base64 of a 32-byte hash")]
    Root,
}

/// A log's size and root at some moment: the text of a signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    // Invariant: not empty, one line.
    origin: String,
    size: TreeSize,
    root: RootHash,
    // Invariant: each is one line and not empty.
    extensions: Vec<String>,
}

impl Checkpoint {
    /// A checkpoint without extensions.
    ///
    /// # Errors
    /// When the origin is empty or not one line.
    pub fn new(origin: &str, size: TreeSize, root: RootHash) -> Result<Self, CheckpointTextError> {
        if origin.is_empty() || origin.chars().any(|character| character < ' ') {
            return Err(CheckpointTextError::Structure);
        }
        Ok(Self { origin: origin.to_owned(), size, root, extensions: Vec::new() })
    }

    /// Parses the text of a note.
    ///
    /// # Errors
    /// When it is not at least three lines, none of them empty, with a size and a root in the second and third.
    pub fn parse(text: &str) -> Result<Self, CheckpointTextError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointTextError::Structure)?.split('\n');
        let mut next = || lines.next().filter(|line| !line.is_empty()).ok_or(CheckpointTextError::Structure);
        let (origin, size, root) = (next()?, next()?, next()?);
        let size = TreeSize(parse_decimal(size).ok_or(CheckpointTextError::Size)?);
        let root = RootHash::from_base64(root).map_err(|_| CheckpointTextError::Root)?;
        let extensions: Vec<_> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(CheckpointTextError::Structure);
        }
        Ok(Self { origin: origin.to_owned(), size, root, extensions })
    }

    /// The log's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many leaves the log has.
    #[must_use]
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// The root of the tree of that size.
    #[must_use]
    pub fn root(&self) -> RootHash {
        self.root
    }

    /// Lines after the root: opaque, and no statement of any witness.
    #[must_use]
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }
}

impl fmt::Display for Checkpoint {
    /// Writes the text of the note.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}\n{}\n{}", self.origin, self.size, self.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(formatter, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";

    #[test]
    fn a_checkpoint_is_written_as_it_was_read() {
        for text in [
            format!("example.com/behind-the-sofa\n20852163\n{ROOT}\n"),
            format!("x y\n0\n{ROOT}\n"),
            format!("x\n18446744073709551615\n{ROOT}\nextension\nanother one\n"),
        ] {
            assert_eq!(Checkpoint::parse(&text).unwrap().to_string(), text);
        }
        let parsed = Checkpoint::parse(&format!("x\n7\n{ROOT}\nmore\n")).unwrap();
        assert_eq!((parsed.origin(), parsed.size(), parsed.extensions().len()), ("x", TreeSize(7), 1));
    }

    #[test]
    fn rejects_what_is_not_a_checkpoint() {
        use CheckpointTextError as E;
        for (text, error) in [
            (String::new(), E::Structure),
            (format!("x\n1\n{ROOT}"), E::Structure),
            ("x\n1\n".to_owned(), E::Structure),
            (format!("\n1\n{ROOT}\n"), E::Structure),
            (format!("x\n1\n{ROOT}\n\n"), E::Structure),
            (format!("x\n1\n{ROOT}\n\nmore\n"), E::Structure),
            (format!("x\n01\n{ROOT}\n"), E::Size),
            (format!("x\n+1\n{ROOT}\n"), E::Size),
            (format!("x\n1 \n{ROOT}\n"), E::Size),
            (format!("x\n18446744073709551616\n{ROOT}\n"), E::Size),
            (format!("x\n1\n{}\n", &ROOT[4..]), E::Root),
            (format!("x\n1\n{}\n", ROOT.trim_end_matches('=')), E::Root),
            (format!("x\n1\n{}\n", ROOT.replace("2I=", "2J=")), E::Root),
        ] {
            assert_eq!(Checkpoint::parse(&text), Err(error), "{text:?}");
        }
        assert_eq!(Checkpoint::new("a\nb", TreeSize(0), RootHash::empty()), Err(E::Structure));
    }
}

//! References to items: the list and the index in it.

use serde_json::{Map, Value};

use crate::vcon::document::content::Content;
use crate::vcon::document::vcon::Vcon;

/// A party, dialog, analysis or attachment, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemRef {
    /// In `parties`.
    Party(usize),
    /// In `dialog`.
    Dialog(usize),
    /// In `analysis`.
    Analysis(usize),
    /// In `attachments`.
    Attachment(usize),
}

impl ItemRef {
    /// The kind of item, in a word that a file name may hold.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Party(_) => "party",
            Self::Dialog(_) => "dialog",
            Self::Analysis(_) => "analysis",
            Self::Attachment(_) => "attachment",
        }
    }

    /// The index in its list.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Party(index) | Self::Dialog(index) | Self::Analysis(index) | Self::Attachment(index) => index,
        }
    }
}

impl std::fmt::Display for ItemRef {
    /// As people say it: `dialog 0`.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.noun(), self.index())
    }
}

impl Vcon {
    /// The members of what is at `place`.
    #[must_use]
    pub fn item(&self, place: ItemRef) -> Option<&Map<String, Value>> {
        match place {
            ItemRef::Party(index) => self.at("parties", index),
            ItemRef::Dialog(index) => self.at("dialog", index),
            ItemRef::Analysis(index) => self.at("analysis", index),
            ItemRef::Attachment(index) => self.at("attachments", index),
        }
    }

    /// The members of what is at `place`, to be changed.
    pub fn item_mut(&mut self, place: ItemRef) -> Option<&mut Map<String, Value>> {
        match place {
            ItemRef::Party(index) => self.party_mut(index),
            ItemRef::Dialog(index) => self.dialog_mut(index),
            ItemRef::Analysis(index) => self.analysis_mut(index),
            ItemRef::Attachment(index) => self.attachment_mut(index),
        }
    }

    /// The content of what is at `place`; a party has none.
    #[must_use]
    pub fn content(&self, place: ItemRef) -> Content<'_> {
        match place {
            ItemRef::Party(_) => Content::Absent,
            _ => self.item(place).map_or(Content::Absent, Content::of),
        }
    }

    /// Every dialog, analysis and attachment, in this order.
    pub fn places(&self) -> impl Iterator<Item = ItemRef> + use<> {
        let dialogs = (0..self.dialogs().len()).map(ItemRef::Dialog);
        let analyses = (0..self.analyses().len()).map(ItemRef::Analysis);
        dialogs.chain(analyses).chain((0..self.attachments().len()).map(ItemRef::Attachment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vcon::VconLimits;

    #[test]
    fn every_place_leads_to_its_item() {
        let text = r#"{"parties":[{"body":"no content"}],"dialog":[{},{"a":1}],"analysis":[{"a":2}],
            "attachments":[{"a":3,"url":"https://x.example"}]}"#;
        let mut vcon = Vcon::parse(text.as_bytes(), &VconLimits::default()).unwrap();
        let (last, mut places) = (ItemRef::Attachment(0), vcon.places().skip(1));
        assert!(places.by_ref().map(|place| vcon.item(place).unwrap()["a"].to_string()).eq(["1", "2", "3"]));
        assert_eq!(vcon.content(last), Content::External { url: "https://x.example" });
        assert_eq!(vcon.content(ItemRef::Party(0)), Content::Absent);
        assert_eq!(vcon.item(ItemRef::Dialog(2)), None);
        vcon.item_mut(ItemRef::Party(0)).unwrap().clear();
        assert!(vcon.item(ItemRef::Party(0)).unwrap().is_empty());
        assert_eq!(last.to_string(), "attachment 0");
    }
}

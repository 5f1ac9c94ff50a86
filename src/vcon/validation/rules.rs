//! The rules by number, each with its text.

/// A rule of the draft, or of several sentences of it together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VconRule {
    /// Its number in `docs/FORMATS.md`.
    pub number: u8,
    /// Where the draft has it: the names of its sections.
    pub section: &'static str,
    /// The text of the rule.
    pub text: &'static str,
    /// How Affiant keeps it, or what its finding says.
    pub kept: &'static str,
}

/// The rule with this number, from 1 to 33.
#[must_use]
pub fn rule(number: u8) -> Option<&'static VconRule> {
    RULES.get(usize::from(number).checked_sub(1)?)
}

/// Every rule (draft-ietf-vcon-vcon-core-03, syntax 0.4.0), in the order of its number.
pub const RULES: [VconRule; 33] = [
    VconRule {
        number: 1,
        section: "JSON Notation",
        text: "Dates are RFC 3339, with an offset",
        kept: "A finding names each date that is not. A date without an offset could be any of two dozen times.",
    },
    VconRule {
        number: 2,
        section: "JSON Notation, Dialog mediatype",
        text: "`mediatype` is type/subtype; parameters are allowed",
        kept: "A finding names each media type that is not.",
    },
    VconRule {
        number: 3,
        section: "content_hash",
        text: "`content_hash`: lower-case algorithm, `-`, base64url of the digest; SHA-512 is mandatory; a token or a list",
        kept: "A finding names each token of another form. SHA-256, SHA-384 and SHA-512 are checked; a recording whose \
               hash is of another algorithm cannot be told from any other, which is a finding too.",
    },
    VconRule {
        number: 4,
        section: "Inline Files",
        text: "Inline content: `body` and `encoding`, one of `base64url`, `json`, `none`; a missing encoding may be inferred",
        kept: "A finding says when the encoding is missing or another one, or when the body is not what it says.",
    },
    VconRule {
        number: 5,
        section: "Externally Referenced Files",
        text: "External content: `url` and `content_hash`, HTTPS, verified before use",
        kept: "A finding says what is missing or in the clear. Nothing is fetched to verify a record; `affiant vcon pack` \
               checks the hash before it takes content in.",
    },
    VconRule {
        number: 6,
        section: "JSON Notation",
        text: "Null and empty may be left out; parameters are mandatory unless marked",
        kept: "A finding names each parameter whose value is not of its type. What is mandatory is said by the rule of \
               its object.",
    },
    VconRule {
        number: 7,
        section: "uuid",
        text: "`uuid`: unique, SHOULD be version 8 (laid out as version 7, the last 62 bits the high 62 of the SHA-1 of \
               the domain name)",
        kept: "A finding says when there is none, when it is no UUID, and when it is of another version.",
    },
    VconRule {
        number: 8,
        section: "vcon, Non-Upward Compatible Changes",
        text: "`vcon` is deprecated; \"0.4.0\" when present; members of older syntaxes",
        kept: "A finding names another version and members that have another name today; `affiant vcon migrate` writes \
               them anew.",
    },
    VconRule {
        number: 9,
        section: "created_at, updated_at",
        text: "`created_at` is mandatory; `updated_at` is the signing time when signed",
        kept: "A finding says when there is no `created_at`. Issuing and `affiant vcon sign` set `updated_at`.",
    },
    VconRule {
        number: 10,
        section: "extensions, critical, Extending vCon",
        text: "`extensions` lists what is used; incompatible ones are also in `critical`",
        kept: "A document with a critical extension is verified, and never issued or changed: none is implemented here. \
               A finding says when one is not in `extensions`, and when members of no draft come without any extension.",
    },
    VconRule {
        number: 11,
        section: "redacted, amended",
        text: "`redacted` or `amended`, not both; `redacted` has a `type`, a `url` needs a `content_hash`; placeholders \
               keep indices",
        kept: "A finding says what is missing. `affiant vcon redact` leaves empty objects in the place of what it takes out.",
    },
    VconRule {
        number: 12,
        section: "amended",
        text: "Changing a signed vCon makes a new instance that points back",
        kept: "No command changes a signed vCon; `affiant vcon amend` makes the new one.",
    },
    VconRule {
        number: 13,
        section: "Party Object",
        text: "Party: `{}` is legal; `did` is a DID URI; civicaddress keys are lower case; `validation` SHOULD come with \
               `name`; `type` is person, bot or organization",
        kept: "A finding for each.",
    },
    VconRule {
        number: 14,
        section: "Dialog Object",
        text: "Dialog `type`: recording, recording-set, text, transfer, incomplete; `start`; `{}` is legal",
        kept: "A finding says when a dialog that is not empty has another type, or no start.",
    },
    VconRule {
        number: 15,
        section: "Dialog type, Dialog Content, Dialog Transfer",
        text: "transfer, incomplete and recording-set have no content; transfer also no parties, originator, mediatype, \
               filename",
        kept: "A finding names what should not be there.",
    },
    VconRule {
        number: 16,
        section: "disposition",
        text: "incomplete has a `disposition`: no-answer, congestion, failed, busy, hung-up, voicemail-no-message",
        kept: "A finding says when it has none of these, and when another dialog has one.",
    },
    VconRule {
        number: 17,
        section: "recordings, recording_set",
        text: "`recordings` always in a recording-set and only there; `recording_set` only in a recording",
        kept: "A finding for each, and for an index that is not of a recording, or of a recording-set.",
    },
    VconRule {
        number: 18,
        section: "Dialog parties, originator",
        text: "`parties`: an index, a list, or a list of lists; multi-channel: as long as there are channels, null for unused",
        kept: "A finding names an index that no party has, and lists within lists within lists. How many channels a \
               recording has is not looked at.",
    },
    VconRule {
        number: 19,
        section: "Dialog, Attachment and Analysis mediatype",
        text: "`mediatype` is mandatory with inline content",
        kept: "A finding says where it is missing.",
    },
    VconRule {
        number: 20,
        section: "session_id",
        text: "`session_id` has the shape of `parties`",
        kept: "A finding says when it is no object of `local` and `remote`, or has another shape.",
    },
    VconRule {
        number: 21,
        section: "Party_History Object",
        text: "party_history events: join, drop, hold, unhold, mute, unmute, keydown, keyup; the last two need `button`",
        kept: "A finding names another event, and what an event lacks.",
    },
    VconRule {
        number: 22,
        section: "Dialog Transfer",
        text: "Transfer parameters stand nowhere else",
        kept: "A finding names those that do, indices that lead nowhere, and what a transfer lacks.",
    },
    VconRule {
        number: 23,
        section: "duration",
        text: "`duration` is in seconds, integer or float",
        kept: "A finding says when it is no number, or less than nothing.",
    },
    VconRule {
        number: 24,
        section: "Attachment Object",
        text: "Attachment: `party`, `start`, `dialog` are mandatory, content unless redacted; `purpose` is free",
        kept: "A finding for each, and for an index that leads nowhere.",
    },
    VconRule {
        number: 25,
        section: "Analysis Object",
        text: "Analysis: `type` and `vendor` are mandatory; `dialog` is an index or a list",
        kept: "A finding for each, and for an index that leads nowhere.",
    },
    VconRule {
        number: 26,
        section: "Signed Form of vCon Object",
        text: "Signed form: general JWS JSON; the payload is the JSON or its gzip",
        kept: "What is of another shape is refused. Both payloads are read, within the limits of inflation.",
    },
    VconRule {
        number: 27,
        section: "Signature Object, Header Object",
        text: "Each signature has `header`, `protected`, `signature`; x5c or x5u in the unprotected header, which has `alg` \
               and SHOULD have a matching `uuid`",
        kept: "A finding says what is missing. `alg` counts in either header: RFC 7515 §7.2.1 wants it in one alone, and \
               only the protected one is signed. `affiant vcon sign --dialect draft` repeats it.",
    },
    VconRule {
        number: 28,
        section: "updated_at",
        text: "Signing again sets `updated_at` first",
        kept: "Issuing and `affiant vcon sign` set it. A finding says when a signed vCon has none.",
    },
    VconRule {
        number: 29,
        section: "Long Term Archiving of Signed vCons",
        text: "Archive renewal: a signed JWS as the payload of the next",
        kept: "Read to a depth of 16; every layer is verified.",
    },
    VconRule {
        number: 30,
        section: "Encrypted Form of vCon Object",
        text: "Encrypted form: signed first; general JWE; A256CBC-HS512 and RSA-OAEP; `cty` application/vcon(+gzip); a \
               matching uuid in `unprotected`",
        kept: "A finding says what differs. `affiant vcon encrypt` takes what is signed.",
    },
    VconRule {
        number: 31,
        section: "JSON Format vCon Mediatype",
        text: "By e-mail only in encrypted form",
        kept: "Affiant sends no e-mail.",
    },
    VconRule {
        number: 32,
        section: "gzip Format vCon Mediatype",
        text: "gzip SHOULD be readable",
        kept: "Every command reads it, within the limits of inflation, but for pack and unpack, which stream.",
    },
    VconRule {
        number: 33,
        section: "Differentiation of unsigned, signed and encrypted forms",
        text: "`payload` and `signatures` is signed; `ciphertext` and `recipients` is encrypted; any of parties, dialog, \
               analysis, attachments is unsigned",
        kept: "What is none of these is refused. A finding names members beside a payload, which nobody signed.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_those_of_the_documentation() {
        let formats = include_str!("../../../docs/FORMATS.md");
        for (position, rule) in RULES.iter().enumerate() {
            assert_eq!(usize::from(rule.number), position + 1);
            let row = format!("| {} | {} |", rule.number, rule.text);
            assert!(formats.contains(&row), "docs/FORMATS.md has no row {row:?}");
        }
        assert_eq!((rule(0), rule(34)), (None, None));
        assert_eq!(rule(33), RULES.last());
    }
}

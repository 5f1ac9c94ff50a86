//! Log policies: which logs count, and which witnesses together are enough (c2sp.org/tlog-policy).

use std::collections::{HashMap, HashSet};

use super::parse_decimal;
use super::signed_checkpoint::{CheckpointError, SignedCheckpoint};
use super::verifier_key::{KeyType, VerifierKey, VerifierKeyError};

/// Bytes of a policy: room for each of [`NAMES_MAX`] ML-DSA-44 keys.
pub const POLICY_BYTES_MAX: usize = 1 << 20;
/// Logs, and separately names of witnesses and groups: eight times what the specification asks for.
pub const NAMES_MAX: usize = 256;

/// Why a policy is not one, or does not accept a checkpoint.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum LogPolicyError {
    /// Longer than allowed.
    #[error("a policy of {bytes} bytes is longer than {POLICY_BYTES_MAX}")]
    TooLong { bytes: usize },
    /// A line that is not of the format.
    #[error("line {line}: {problem}")]
    Line { line: usize, problem: PolicyLineError },
    /// The last line does not end in a newline.
    #[error("the last line does not end in a newline")]
    NoFinalNewline,
    /// No quorum line.
    #[error("a policy has exactly one quorum line, this one has none")]
    NoQuorum,
    /// No log of the policy has the checkpoint's origin.
    #[error("log {origin} is not one of the policy's")]
    UnknownLog {
        /// The checkpoint's origin.
        origin: String,
    },
    /// A signature that counts is missing or wrong.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// Why a line of a policy is invalid.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PolicyLineError {
    /// A control character other than tab.
    #[error("a control character")]
    Character,
    /// Not `log`, `witness`, `group` or `quorum`.
    #[error("not a log, witness, group or quorum line")]
    Keyword,
    /// Too few or too many items.
    #[error("too few or too many items")]
    Items,
    /// Not a verifier key.
    #[error(transparent)]
    Key(#[from] VerifierKeyError),
    /// A witness's key that does not cosign.
    #[error("a witness key must be of a cosignature type")]
    NotCosigner,
    /// The public key stands in another line of the kind.
    #[error("the same public key appears twice")]
    DuplicateKey,
    /// The name is taken, or is `none`.
    #[error("the name is taken")]
    DuplicateName,
    /// The name is not defined above.
    #[error("the name is not defined on a line above")]
    UndefinedName,
    /// The name is a member of a group already.
    #[error("the name is a member of a group already")]
    MemberTwice,
    /// A threshold that is not from 1 to the number of members.
    #[error("a threshold from 1 to the number of members is required")]
    Threshold,
    /// A second quorum line.
    #[error("a second quorum line")]
    SecondQuorum,
    /// More logs, or more names, than allowed.
    #[error("more than {NAMES_MAX} logs, or names of witnesses and groups")]
    TooMany,
}

/// A log or a witness of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyKey {
    name: Vec<u8>,
    key: VerifierKey,
    url: Option<String>,
}

impl PolicyKey {
    /// The name that the policy gives a witness, for people; a log goes by its key's name.
    #[must_use]
    pub fn name(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Where to reach it.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }
}

/// Something that can witness: an index into the witnesses or the groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Witness(usize),
    Group(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    threshold: usize,
    members: Vec<Member>,
}

/// Which logs count, and which witnesses together are enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPolicy {
    logs: Vec<PolicyKey>,
    witnesses: Vec<PolicyKey>,
    // Invariant: members of a group are witnesses or earlier groups, and each is a member once.
    groups: Vec<Group>,
    // `None` is the policy's `none`: no cosignature is asked for.
    quorum: Option<Member>,
    text: Box<[u8]>,
}

impl LogPolicy {
    /// Parses a policy.
    ///
    /// # Errors
    /// When it is too long, or a line is not of the format.
    pub fn parse(bytes: &[u8]) -> Result<Self, LogPolicyError> {
        if bytes.len() > POLICY_BYTES_MAX {
            return Err(LogPolicyError::TooLong { bytes: bytes.len() });
        }
        let mut reading = Reading::default();
        if !bytes.is_empty() {
            let lines = bytes.strip_suffix(b"\n").ok_or(LogPolicyError::NoFinalNewline)?;
            for (before, line) in lines.split(|byte| *byte == b'\n').enumerate() {
                reading.line(line).map_err(|problem| LogPolicyError::Line { line: before + 1, problem })?;
            }
        }
        let Reading { logs, witnesses, groups, quorum, .. } = reading;
        let quorum = quorum.ok_or(LogPolicyError::NoQuorum)?;
        Ok(Self { logs, witnesses, groups, quorum, text: bytes.into() })
    }

    /// The policy as it was given. Names in other bytes than UTF-8 are shown with a sign in their place.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    /// The logs.
    #[must_use]
    pub fn logs(&self) -> &[PolicyKey] {
        &self.logs
    }

    /// The witnesses.
    #[must_use]
    pub fn witnesses(&self) -> &[PolicyKey] {
        &self.witnesses
    }

    /// Whether the policy asks for any cosignature.
    #[must_use]
    pub fn asks_for_witnesses(&self) -> bool {
        self.quorum.is_some()
    }

    /// Whether the witnesses that `counts` says yes to are enough; where no cosignature is asked for, none are.
    pub fn is_quorum(&self, counts: impl Fn(&VerifierKey) -> bool) -> bool {
        let counted = self.witnesses.iter().enumerate().filter(|(_, witness)| counts(&witness.key));
        let counted = counted.map(|(index, _)| (index, 0)).collect();
        self.quorum.is_none_or(|member| self.witnessed(member, &counted, &mut HashMap::new()))
    }

    /// Verifies a checkpoint's signatures and says who witnessed it.
    ///
    /// # Errors
    /// When no log of the policy has its origin, that log did not sign it, or a known signature is wrong.
    pub fn cosigned(&self, signed: &SignedCheckpoint) -> Result<CosignedCheckpoint, LogPolicyError> {
        let origin = signed.checkpoint().origin();
        let logs: Vec<&VerifierKey> = self.logs.iter().map(PolicyKey::key).filter(|key| key.name() == origin).collect();
        if logs.is_empty() {
            return Err(LogPolicyError::UnknownLog { origin: origin.to_owned() });
        }
        signed.note().verified(&logs).map_err(CheckpointError::from)?;
        let keys: Vec<&VerifierKey> = self.witnesses.iter().map(PolicyKey::key).collect();
        let verified = signed.cosignatures(&keys)?;
        let mut cosigned = HashMap::new();
        for (index, key) in keys.iter().enumerate() {
            let times =
                verified.iter().filter(|signature| signature.is_of(key)).filter_map(|signature| signature.time());
            if let Some(time) = times.min() {
                cosigned.insert(index, time);
            }
        }
        let quorum = self.quorum.is_none_or(|member| self.witnessed(member, &cosigned, &mut HashMap::new()));
        let mut cosignatures: Vec<_> = cosigned
            .into_iter()
            .map(|(index, time)| VerifiedCosignature { witness: self.witnesses[index].clone(), time })
            .collect();
        cosignatures
            .sort_by(|left, right| (left.time, left.witness.key.name()).cmp(&(right.time, right.witness.key.name())));
        Ok(CosignedCheckpoint { cosignatures, quorum })
    }

    /// Groups refer to earlier ones only, so this ends; `known` keeps it linear.
    fn witnessed(&self, member: Member, cosigned: &HashMap<usize, u64>, known: &mut HashMap<usize, bool>) -> bool {
        match member {
            Member::Witness(index) => cosigned.contains_key(&index),
            Member::Group(index) => {
                if let Some(known) = known.get(&index) {
                    return *known;
                }
                let group = &self.groups[index];
                let members = group.members.iter().filter(|member| self.witnessed(**member, cosigned, known)).count();
                let holds = members >= group.threshold;
                known.insert(index, holds);
                holds
            }
        }
    }
}

/// A valid cosignature of a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCosignature {
    /// The witness.
    pub witness: PolicyKey,
    /// When, in seconds since 1970; the earliest time when there are several cosignatures.
    pub time: u64,
}

/// A checkpoint that a log of the policy signed, with its verified cosignatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CosignedCheckpoint {
    cosignatures: Vec<VerifiedCosignature>,
    quorum: bool,
}

impl CosignedCheckpoint {
    /// Each of the policy's witnesses that cosigned, the earliest first.
    #[must_use]
    pub fn cosignatures(&self) -> &[VerifiedCosignature] {
        &self.cosignatures
    }

    /// Whether they are enough.
    #[must_use]
    pub fn quorum(&self) -> bool {
        self.quorum
    }
}

/// A policy while its lines are read.
#[derive(Default)]
struct Reading {
    logs: Vec<PolicyKey>,
    witnesses: Vec<PolicyKey>,
    groups: Vec<Group>,
    names: HashMap<Vec<u8>, Member>,
    members: HashSet<Vec<u8>>,
    quorum: Option<Option<Member>>,
}

impl Reading {
    fn line(&mut self, line: &[u8]) -> Result<(), PolicyLineError> {
        if line.iter().any(|byte| matches!(byte, 0..0x09 | 0x0b..0x20 | 0x7f)) {
            return Err(PolicyLineError::Character);
        }
        let items: Vec<&[u8]> =
            line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|item| !item.is_empty()).collect();
        match items.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", key] => self.log(key, None),
            [b"log", key, url] => self.log(key, Some(url)),
            [b"witness", name, key] => self.witness(name, key, None),
            [b"witness", name, key, url] => self.witness(name, key, Some(url)),
            [b"group", name, threshold, members @ ..] if !members.is_empty() => self.group(name, threshold, members),
            [b"quorum", name] => self.quorum(name),
            [b"log" | b"witness" | b"group" | b"quorum", ..] => Err(PolicyLineError::Items),
            _ => Err(PolicyLineError::Keyword),
        }
    }

    fn log(&mut self, key: &[u8], url: Option<&[u8]>) -> Result<(), PolicyLineError> {
        let key = verifier_key(key)?;
        add(&mut self.logs, PolicyKey { name: key.name().as_bytes().to_vec(), key, url: url.map(text) })
    }

    fn witness(&mut self, name: &[u8], key: &[u8], url: Option<&[u8]>) -> Result<(), PolicyLineError> {
        let key = verifier_key(key)?;
        if key.key_type() == KeyType::Ed25519 {
            return Err(PolicyLineError::NotCosigner);
        }
        self.define(name, Member::Witness(self.witnesses.len()))?;
        add(&mut self.witnesses, PolicyKey { name: name.to_vec(), key, url: url.map(text) })
    }

    fn group(&mut self, name: &[u8], threshold: &[u8], members: &[&[u8]]) -> Result<(), PolicyLineError> {
        let threshold = match threshold {
            b"any" => 1,
            b"all" => members.len(),
            number => std::str::from_utf8(number)
                .ok()
                .and_then(parse_decimal)
                .and_then(|number| usize::try_from(number).ok())
                .filter(|number| (1..=members.len()).contains(number))
                .ok_or(PolicyLineError::Threshold)?,
        };
        let mut found = Vec::new();
        for member in members {
            found.push(*self.names.get(*member).ok_or(PolicyLineError::UndefinedName)?);
            if !self.members.insert(member.to_vec()) {
                return Err(PolicyLineError::MemberTwice);
            }
        }
        self.define(name, Member::Group(self.groups.len()))?;
        self.groups.push(Group { threshold, members: found });
        Ok(())
    }

    fn quorum(&mut self, name: &[u8]) -> Result<(), PolicyLineError> {
        if self.quorum.is_some() {
            return Err(PolicyLineError::SecondQuorum);
        }
        self.quorum = Some(match name {
            b"none" => None,
            name => Some(*self.names.get(name).ok_or(PolicyLineError::UndefinedName)?),
        });
        Ok(())
    }

    fn define(&mut self, name: &[u8], member: Member) -> Result<(), PolicyLineError> {
        if self.names.len() == NAMES_MAX {
            return Err(PolicyLineError::TooMany);
        }
        if name == b"none" || self.names.insert(name.to_vec(), member).is_some() {
            return Err(PolicyLineError::DuplicateName);
        }
        Ok(())
    }
}

fn add(keys: &mut Vec<PolicyKey>, added: PolicyKey) -> Result<(), PolicyLineError> {
    if keys.len() == NAMES_MAX {
        return Err(PolicyLineError::TooMany);
    }
    if keys.iter().any(|known| known.key.public() == added.key.public()) {
        return Err(PolicyLineError::DuplicateKey);
    }
    keys.push(added);
    Ok(())
}

fn verifier_key(item: &[u8]) -> Result<VerifierKey, PolicyLineError> {
    let text = std::str::from_utf8(item).map_err(|_| VerifierKeyError::Malformed)?;
    Ok(text.parse()?)
}

fn text(item: &[u8]) -> String {
    String::from_utf8_lossy(item).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example key of signed-note.
    const LOG: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

    fn cosigner(name: &str, key: &str) -> String {
        let key: VerifierKey = key.parse().unwrap();
        let bytes = key.public().try_into().unwrap();
        let key = crate::crypto::VerifyingKey::from_ed25519(bytes).unwrap();
        VerifierKey::ed25519_cosignature(name, &key).unwrap().to_string()
    }

    #[test]
    fn rejects_what_is_not_a_policy() {
        use PolicyLineError as P;
        let witness = cosigner("w", LOG);
        for (text, line, problem) in [
            (format!("log {LOG}\nlog {LOG} https://x\nquorum none\n"), 2, P::DuplicateKey),
            (format!("log {LOG} a b\n"), 1, P::Items),
            ("quorum\n".to_owned(), 1, P::Items),
            ("group g all\n".to_owned(), 1, P::Items),
            ("quorums none\n".to_owned(), 1, P::Keyword),
            ("# fine\n\n \t# fine\nquorum w\r\n".to_owned(), 4, P::Character),
            ("quorum w\n".to_owned(), 1, P::UndefinedName),
            ("quorum none\nquorum none\n".to_owned(), 2, P::SecondQuorum),
            (format!("witness w {LOG}\n"), 1, P::NotCosigner),
            (format!("witness none {witness}\n"), 1, P::DuplicateName),
            (format!("witness w {witness}\nwitness v {witness}\n"), 2, P::DuplicateKey),
            (format!("witness w {witness}\ngroup w any w\n"), 2, P::DuplicateName),
            (format!("witness w {witness}\ngroup g 0 w\n"), 2, P::Threshold),
            (format!("witness w {witness}\ngroup g 2 w\n"), 2, P::Threshold),
            (format!("witness w {witness}\ngroup g 01 w\n"), 2, P::Threshold),
            (format!("witness w {witness}\ngroup g any w w\n"), 2, P::MemberTwice),
            (format!("witness w {witness}\ngroup g any w\ngroup h any w\n"), 3, P::MemberTwice),
            (format!("witness w {witness}\ngroup g any g\n"), 2, P::UndefinedName),
            (format!("witness w {witness}\ngroup g any none\n"), 2, P::UndefinedName),
            ("log x\n".to_owned(), 1, P::Key(VerifierKeyError::Malformed)),
        ] {
            assert_eq!(LogPolicy::parse(text.as_bytes()), Err(LogPolicyError::Line { line, problem }), "{text}");
        }
        assert_eq!(LogPolicy::parse(b""), Err(LogPolicyError::NoQuorum));
        assert_eq!(LogPolicy::parse(b"quorum none"), Err(LogPolicyError::NoFinalNewline));
        let mut accepted = format!("\t log\t{LOG} https://é \nquorum none\n").into_bytes();
        accepted.extend_from_slice(b"#\xff\n");
        assert!(LogPolicy::parse(&accepted).is_ok());
        assert!(LogPolicy::parse(&vec![b'#'; POLICY_BYTES_MAX + 1]).is_err());
    }

    #[cfg(feature = "server")]
    mod with_keys {
        use super::super::super::{Checkpoint, RootHash, TreeSize, cosign};
        use super::super::*;
        use crate::crypto::{Signer as _, SigningKey};

        struct World {
            log: SigningKey,
            witnesses: Vec<SigningKey>,
        }

        impl World {
            fn new(witnesses: usize) -> Self {
                let key = || SigningKey::generate_ed25519().0;
                Self { log: key(), witnesses: (0..witnesses).map(|_| key()).collect() }
            }

            fn policy(&self, rest: &str) -> LogPolicy {
                let log = VerifierKey::ed25519("example.com/log", self.log.verifying_key()).unwrap();
                let mut text = format!("log {log}\n");
                for (index, key) in self.witnesses.iter().enumerate() {
                    let name = format!("example.com/w{index}");
                    let key = VerifierKey::ed25519_cosignature(&name, key.verifying_key()).unwrap();
                    text += &format!("witness w{index} {key}\n");
                }
                LogPolicy::parse((text + rest).as_bytes()).unwrap()
            }

            fn cosigned(&self, by: &[usize]) -> SignedCheckpoint {
                let checkpoint = Checkpoint::new("example.com/log", TreeSize(7), RootHash::new([7; 32])).unwrap();
                let mut signed = checkpoint.clone().sign(&self.log).unwrap();
                for index in by {
                    let time = 1000 - *index as u64;
                    let name = format!("example.com/w{index}");
                    signed.add(cosign(&checkpoint, &name, time, &self.witnesses[*index]).unwrap()).unwrap();
                }
                signed
            }
        }

        /// The example of the specification, with keys where it has none.
        const EXAMPLE: &str = "log <vkey>\n\nwitness X1 <vkey>\nwitness X2 <vkey>\nwitness X3 <vkey>\n\
            group X-witnesses 2 X1 X2 X3\n\nwitness Y1 <vkey>\nwitness Y2 <vkey>\nwitness Y3 <vkey>\n\
            group Y-witnesses any Y1 Y2 Y3\n\ngroup X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n";

        #[test]
        fn a_quorum_holds_when_its_groups_do() {
            let world = World::new(6);
            let given = world.policy("quorum none\n").text();
            let keys = given.lines().filter_map(|line| line.split(' ').find(|item| item.contains('+')));
            let policy = keys.fold(EXAMPLE.to_owned(), |text, key| text.replacen("<vkey>", key, 1));
            let policy = LogPolicy::parse(policy.as_bytes()).unwrap();
            for (by, holds) in [
                (&[][..], false),
                (&[0, 1], false),
                (&[0, 3], false),
                (&[3, 4, 5], false),
                (&[0, 2, 4], true),
                (&[0, 1, 2, 3, 4, 5], true),
            ] {
                let witnessing = policy.cosigned(&world.cosigned(by)).unwrap();
                assert_eq!(witnessing.quorum(), holds, "{by:?}");
                assert_eq!(witnessing.cosignatures().len(), by.len());
                assert!(witnessing.cosignatures().is_sorted_by_key(|cosignature| cosignature.time));
            }
        }

        #[test]
        fn a_witness_may_have_an_ml_dsa_44_key_and_counts_when_it_says_a_time() {
            use super::super::super::cosign_ml_dsa_44;
            let (world, key) = (World::new(0), crate::crypto::MlDsa44SigningKey::generate().0);
            let vkey = VerifierKey::ml_dsa_44_cosignature("example.com/w", key.verifying_key()).unwrap();
            let policy = world.policy(&format!("witness w {vkey}\nquorum w\n"));
            let mut signed = world.cosigned(&[]);
            assert!(!policy.cosigned(&signed).unwrap().quorum());
            signed.add(cosign_ml_dsa_44(signed.checkpoint(), "example.com/w", 1000, &key).unwrap()).unwrap();
            let witnessing = policy.cosigned(&signed).unwrap();
            assert_eq!((witnessing.quorum(), witnessing.cosignatures()[0].time), (true, 1000));
        }

        #[test]
        fn one_witness_or_none_can_be_the_quorum() {
            let world = World::new(2);
            assert!(world.policy("quorum none\n").cosigned(&world.cosigned(&[])).unwrap().quorum());
            assert!(!world.policy("quorum w1\n").cosigned(&world.cosigned(&[0])).unwrap().quorum());
            assert!(world.policy("quorum w1\n").cosigned(&world.cosigned(&[1])).unwrap().quorum());
        }

        #[test]
        fn a_stranger_or_a_wrong_signature_is_refused() {
            let (world, other) = (World::new(1), World::new(1));
            let policy = world.policy("quorum none\n");
            assert!(matches!(policy.cosigned(&other.cosigned(&[0])), Err(LogPolicyError::Checkpoint(_))));
            let origin = Checkpoint::new("example.com/lag", TreeSize(7), RootHash::new([7; 32])).unwrap();
            let foreign = origin.sign(&world.log).unwrap();
            assert!(matches!(policy.cosigned(&foreign), Err(LogPolicyError::UnknownLog { .. })));
            let mut forged = world.cosigned(&[]);
            let elsewhere = Checkpoint::new("example.com/log", TreeSize(8), RootHash::new([7; 32])).unwrap();
            forged.add(cosign(&elsewhere, "example.com/w0", 5, &world.witnesses[0]).unwrap()).unwrap();
            assert!(matches!(policy.cosigned(&forged), Err(LogPolicyError::Checkpoint(_))));
        }

        #[test]
        fn forty_witnesses_in_nested_groups_are_no_more_than_a_policy_may_have() {
            let world = World::new(40);
            let mut rest = "group g0 any w0\n".to_owned();
            for index in 1..40 {
                rest += &format!("group g{index} all g{} w{index}\n", index - 1);
            }
            let policy = world.policy(&(rest + "quorum g39\n"));
            let all: Vec<_> = (0..40).collect();
            assert!(policy.cosigned(&world.cosigned(&all)).unwrap().quorum());
            assert!(!policy.cosigned(&world.cosigned(&all[1..])).unwrap().quorum());
        }
    }
}

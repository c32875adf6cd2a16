//! Why a peer is reached as it is, and what would help: only what this hub can know.
//!
//! Whether a NAT is symmetric cannot be seen from here for certain, so it is not claimed; what was
//! tried and what came of it is. That a relay answers over TCP and not over UDP is seen; where on
//! the way UDP is lost is not.

use crate::view::{PathKind, Why, WhyCode};
use link::race::{Kind, Kinds};

/// What this hub knows.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// What the peer is called here.
    pub(crate) peer: String,
    /// How it is reached now, if it is.
    pub(crate) kind: Option<PathKind>,
    pub(crate) only: Kinds,
    /// Addresses of the peer that may be dialled: without a relay, and in all.
    pub(crate) direct: usize,
    pub(crate) all: usize,
    /// Whether this hub has any address, and one that is known outside of its own network.
    pub(crate) any_address: bool,
    pub(crate) public_address: bool,
    /// A relay that answers over TCP and not over UDP, where it would tell this hub its address.
    pub(crate) udp_unanswered: Option<String>,
    pub(crate) refused: bool,
    pub(crate) direct_lost_at: Option<String>,
}

pub(crate) fn why(facts: &Facts) -> Vec<Why> {
    match facts.kind {
        None => offline(facts),
        Some(PathKind::Relay) => relayed(facts),
        Some(PathKind::Lan | PathKind::Direct) => vec![],
    }
}

fn offline(facts: &Facts) -> Vec<Why> {
    let Facts { peer, all, .. } = facts;
    let told = match () {
        () if facts.refused => told(
            WhyCode::NotAPeer,
            format!("{peer} answers, but does not know this hub any more"),
            "pair the two again: farhub invite there, farhub pair here",
        ),
        () if !facts.any_address => told(
            WhyCode::NoNetwork,
            "this computer is in no network".to_owned(),
            "connect it; it is noticed at once",
        ),
        () if *all == 0 => told(
            WhyCode::NoAddress,
            format!("no address of {peer} is known that may be dialled"),
            "when it is in reach it may dial this hub; or pair the two again",
        ),
        () => Why {
            count: Some(*all),
            ..told(
                WhyCode::NoAnswer,
                format!("{peer} answers at none of its addresses ({all})"),
                "is farhub running there, and its network up? See there: farhub doctor",
            )
        },
    };
    vec![told]
}

fn relayed(facts: &Facts) -> Vec<Why> {
    let Facts { peer, direct, .. } = facts;
    if !facts.only.has(Kind::Lan) && !facts.only.has(Kind::Direct) {
        return vec![told(
            WhyCode::OnlyRelay,
            "the settings of this hub allow relays only".to_owned(),
            "allow more: paths in farhub.toml, or farhub up --only",
        )];
    }
    let mut list = Vec::new();
    if let Some(at) = &facts.direct_lost_at {
        list.push(Why {
            at: Some(at.clone()),
            ..told(
                WhyCode::DirectLost,
                "the direct path was lost".to_owned(),
                "it is tried again every 5 s for two minutes, then at least every minute",
            )
        });
    } else if *direct == 0 {
        list.push(told(
            WhyCode::NoDirectAddress,
            format!("no direct address of {peer} is known"),
            "its hub learns its own address from a relay with address discovery, or from bind",
        ));
    } else {
        list.push(Why {
            count: Some(*direct),
            ..told(
                WhyCode::DirectSilent,
                format!("none of the direct addresses of {peer} ({direct}) answers"),
                "let UDP through to the port of either hub: a fixed port in farhub.toml (bind), \
                 and a rule for it in that hub's router or firewall",
            )
        });
    }
    if let Some(relay) = &facts.udp_unanswered {
        list.push(told(
            WhyCode::UdpUnanswered,
            format!("the relay {relay} answers this hub over TCP, but not over UDP"),
            "a direct path needs UDP: let it out of this network; if it is, the relay's UDP port \
             may be closed: see docs/relay.md",
        ));
    } else if !facts.public_address {
        list.push(told(
            WhyCode::NoPublicAddress,
            "this hub does not know its own public address".to_owned(),
            "no relay of this hub has told it: has one address discovery (qad)?",
        ));
    }
    list
}

fn told(code: WhyCode, message: String, hint: &str) -> Why {
    Why { code, message, hint: hint.to_owned(), at: None, count: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            peer: "garage".into(),
            kind: None,
            only: Kinds::ALL,
            direct: 2,
            all: 3,
            any_address: true,
            public_address: true,
            udp_unanswered: None,
            refused: false,
            direct_lost_at: None,
        }
    }

    fn codes(facts: &Facts) -> Vec<WhyCode> {
        why(facts).into_iter().map(|why| why.code).collect()
    }

    #[test]
    fn offline_has_one_reason() {
        assert_eq!(codes(&facts()), [WhyCode::NoAnswer]);
        assert_eq!(why(&facts())[0].count, Some(3));
        assert_eq!(codes(&Facts { all: 0, ..facts() }), [WhyCode::NoAddress]);
        let alone = Facts { any_address: false, all: 0, ..facts() };
        assert_eq!(codes(&alone), [WhyCode::NoNetwork]);
        assert_eq!(codes(&Facts { refused: true, ..alone }), [WhyCode::NotAPeer]);
    }

    #[test]
    fn relayed_says_what_was_tried() {
        let relayed = Facts { kind: Some(PathKind::Relay), ..facts() };
        assert_eq!(codes(&relayed), [WhyCode::DirectSilent]);
        let unknown = Facts { direct: 0, public_address: false, ..relayed.clone() };
        assert_eq!(codes(&unknown), [WhyCode::NoDirectAddress, WhyCode::NoPublicAddress]);
        let blocked = Facts { udp_unanswered: Some("https://r/".into()), ..unknown.clone() };
        assert_eq!(codes(&blocked), [WhyCode::NoDirectAddress, WhyCode::UdpUnanswered]);
        let lost = Facts { direct_lost_at: Some("now".into()), ..relayed.clone() };
        assert_eq!(codes(&lost), [WhyCode::DirectLost]);
        assert_eq!(why(&lost)[0].at.as_deref(), Some("now"));
        let only = [Kind::Relay].into_iter().collect();
        assert_eq!(codes(&Facts { only, ..unknown }), [WhyCode::OnlyRelay]);
    }

    #[test]
    fn a_direct_path_needs_no_excuse() {
        assert_eq!(codes(&Facts { kind: Some(PathKind::Lan), ..facts() }), []);
    }
}

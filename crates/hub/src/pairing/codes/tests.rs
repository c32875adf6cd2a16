use super::*;
use iroh::SecretKey;

fn key(number: u8) -> PeerId {
    SecretKey::from_bytes(&[number; 32]).public()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// The laptop asks the garage; both are where the code is shown.
fn compared() -> (Asking, Asked, Codes, Codes) {
    between(key(2), key(1), [3; 32], [4; 32])
}

/// The same, where `seen` is whom the laptop speaks to, and `by` who speaks to the garage.
fn between(
    seen: PeerId,
    by: PeerId,
    nonce: [u8; 32],
    other: [u8; 32],
) -> (Asking, Asked, Codes, Codes) {
    let mut laptop = Asking::new(key(1), seen, nonce);
    let mut garage = Asked::new(key(2), by, other);
    let mut hello = laptop.hello(name("laptop"));
    if let Up::Hello { commitment: promise, .. } = &mut hello
        && by != key(1)
    {
        // who is in between makes its own promise
        *promise = commitment(&by, &key(2), &nonce);
    }
    assert_eq!(garage.heard(hello), Ok(AskedHeard::Greeted { name: name("laptop") }));
    let nonce = garage.nonce(name("garage"));
    let Ok(AskingHeard::Show { send, codes, name: called }) = laptop.heard(nonce) else { panic!() };
    assert_eq!(called, name("garage"));
    let Ok(AskedHeard::Code { codes: other }) = garage.heard(send) else { panic!() };
    (laptop, garage, codes, other)
}

#[test]
fn both_compute_the_same_codes_and_pair_when_both_were_typed() {
    let (mut laptop, mut garage, shown, there) = compared();
    assert_eq!(shown, there);
    let down = garage.typed(&shown.code()).unwrap();
    assert_eq!(laptop.heard(down), Ok(AskingHeard::Check));
    let up = laptop.typed(&there.check()).unwrap();
    assert_eq!(garage.heard(up), Ok(AskedHeard::Paired));
    assert_eq!(laptop.heard(Down::Paired), Ok(AskingHeard::Paired));
    assert_eq!(laptop.heard(Down::Paired), Err(Broken::Unexpected), "once");
}

#[test]
fn golden_codes() {
    let (.., codes) = compared();
    assert_eq!((codes.code().as_str(), codes.check().as_str()), GOLDEN);
    assert_eq!(Codes { code: 7, check: 3 }.code(), "000 007");
    assert_eq!(Codes { code: 7, check: 3 }.check(), "03");
}

#[test]
fn keys_and_nonces_all_count() {
    let codes = |asking, asked, a, b| Codes::new(&key(asking), &key(asked), (&[a; 32], &[b; 32]));
    let usual = codes(1, 2, 3, 4);
    for other in [codes(9, 2, 3, 4), codes(1, 9, 3, 4), codes(1, 2, 9, 4), codes(1, 2, 3, 9)] {
        assert_ne!(usual, other);
    }
    assert_ne!(usual, codes(2, 1, 4, 3), "who asks is not who is asked");
}

#[test]
fn somebody_in_between_gets_another_code() {
    // each speaks to the one in between, who passes nonces on as they are
    let (_, mut garage, shown, there) = between(key(66), key(66), [3; 32], [4; 32]);
    assert_ne!(shown, there);
    for tries in (0..TRIES).rev() {
        assert_eq!(garage.typed(&shown.code()), Err(Mistyped::Differs(tries)));
    }
    assert_eq!(garage.heard(Up::Agreed), Err(Broken::Unexpected));
}

#[test]
fn a_nonce_that_was_not_promised_ends_it() {
    for (by, nonce) in [(key(1), [5; 32]), (key(66), [3; 32])] {
        let laptop = Asking::new(key(1), key(2), [3; 32]);
        let mut garage = Asked::new(key(2), by, [4; 32]);
        garage.heard(laptop.hello(name("laptop"))).unwrap();
        assert_eq!(garage.heard(Up::Reveal { nonce }), Err(Broken::Commitment));
        assert_eq!(garage.typed("000000"), Err(Mistyped::NotNow));
        assert_eq!(garage.heard(Up::Reveal { nonce: [3; 32] }), Err(Broken::Unexpected), "over");
    }
}

#[test]
fn what_was_recorded_of_another_pairing_is_of_no_use() {
    // the laptop's own first messages, said again by the laptop or anybody: the nonce is new
    let (mut laptop, _, _, first) = compared();
    let mut again = Asked::new(key(2), key(1), [8; 32]);
    again.heard(Asking::new(key(1), key(2), [3; 32]).hello(name("laptop"))).unwrap();
    let Ok(AskedHeard::Code { codes }) = again.heard(Up::Reveal { nonce: [3; 32] }) else {
        panic!()
    };
    assert_ne!(first, codes);
    assert_eq!(again.typed(&first.code()), Err(Mistyped::Differs(2)));
    // and the garage's, to the laptop
    assert_eq!(laptop.heard(Down::Paired), Err(Broken::Unexpected));
}

/// How to get there, and which message may come then.
type Stage<Machine> = (fn() -> Machine, Option<usize>);

#[test]
fn only_the_one_order_is_taken() {
    let ups = || {
        vec![
            Up::Hello { name: name("x"), commitment: [0; 32] },
            Up::Reveal { nonce: [3; 32] },
            Up::Agreed,
        ]
    };
    let stages: [Stage<Asked>; 4] = [
        (|| Asked::new(key(2), key(1), [4; 32]), Some(0)),
        (
            || {
                let mut garage = Asked::new(key(2), key(1), [4; 32]);
                garage.heard(Asking::new(key(1), key(2), [3; 32]).hello(name("l"))).unwrap();
                garage
            },
            Some(1),
        ),
        (|| compared().1, None),
        (
            || {
                let (_, mut garage, codes, _) = compared();
                garage.typed(&codes.code()).unwrap();
                garage
            },
            Some(2),
        ),
    ];
    for (stage, (garage, right)) in stages.into_iter().enumerate() {
        for (place, up) in ups().into_iter().enumerate() {
            let heard = garage().heard(up);
            assert_eq!(heard.is_ok(), right == Some(place), "{stage} {place}: {heard:?}");
        }
        let mut stopped = garage();
        let no = Refusal::Declined;
        assert_eq!(stopped.heard(Up::Stopped(no.code())), Ok(AskedHeard::Stopped(no)));
        for up in ups() {
            assert_eq!(stopped.heard(up), Err(Broken::Unexpected), "it is over");
        }
    }
    let downs =
        || vec![Down::Nonce { name: name("x"), nonce: [4; 32] }, Down::Agreed, Down::Paired];
    let stages: [Stage<Asking>; 4] = [
        (|| Asking::new(key(1), key(2), [3; 32]), Some(0)),
        (|| compared().0, Some(1)),
        (checking, None),
        (
            || {
                let mut laptop = checking();
                laptop.typed(&compared().2.check()).unwrap();
                laptop
            },
            Some(2),
        ),
    ];
    for (stage, (laptop, right)) in stages.into_iter().enumerate() {
        for (place, down) in downs().into_iter().enumerate() {
            let heard = laptop().heard(down);
            assert_eq!(heard.is_ok(), right == Some(place), "{stage} {place}: {heard:?}");
        }
        let mut stopped = laptop();
        let no = Refusal::CodesDiffer;
        assert_eq!(stopped.heard(Down::Stopped(no.code())), Ok(AskingHeard::Stopped(no)));
        assert_eq!(stopped.heard(Down::Agreed), Err(Broken::Unexpected), "it is over");
    }
}

fn checking() -> Asking {
    let (mut laptop, ..) = compared();
    laptop.heard(Down::Agreed).unwrap();
    laptop
}

#[test]
fn nothing_can_be_typed_before_its_time() {
    let (mut laptop, mut garage, codes, _) = compared();
    assert_eq!(laptop.typed(&codes.check()), Err(Mistyped::NotNow));
    assert_eq!(Asked::new(key(2), key(1), [4; 32]).typed("123456"), Err(Mistyped::NotNow));
    garage.typed(&codes.code()).unwrap();
    assert_eq!(garage.typed(&codes.code()), Err(Mistyped::NotNow), "once");
}

#[test]
fn codes_are_typed_as_people_write_them() {
    let (_, mut garage, codes, _) = compared();
    for wrong in ["", "12345", "1234567", "12a456", "１２３４５６"] {
        assert_eq!(garage.typed(wrong), Err(Mistyped::Digits(6)), "{wrong}: no try is lost");
    }
    let text = codes.code().replace(' ', "-");
    assert_eq!(garage.typed(&format!(" {text} ")), Ok(Down::Agreed));
}

const GOLDEN: (&str, &str) = ("189 869", "20");

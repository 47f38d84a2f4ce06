//! Every finding, and what it takes for there to be none.

use std::time::Duration;

use dunlin::time::UnixTime;
use dunlin_certificates::{
    Environments, Finding, Identity, Level, Wanted, check_key, coverage, findings,
};
use rcgen::KeyPair;

use crate::make::{Asked, DEVELOPMENT, NULL, PASSPHRASE, PRODUCTION, Pair, data, pem};

/// 2027-01-15.
const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_hours(24);

const GOOD: Asked<'static> = Asked {
    name: "Apple Push Services: com.example.shop",
    user_id: "com.example.shop",
    extensions: &[(DEVELOPMENT, NULL), (PRODUCTION, NULL)],
    years: (2020, 2040),
    code_signing: false,
};

fn at(identity: &Identity, now: UnixTime) -> Vec<Finding> {
    findings(identity, &Wanted::default(), now)
}

/// The findings that make the key useless are those that [`check_key`] tells of.
fn assert_key(identity: &Identity, what: Option<&str>) {
    let wrong = check_key(identity).err().map(|found| found.what);
    assert_eq!(wrong.as_deref(), what);
}

/// The only finding; every one says what to do.
fn only(found: Vec<Finding>) -> (Level, String) {
    assert_eq!(found.len(), 1, "{found:#?}");
    shown(found).remove(0)
}

fn shown(found: Vec<Finding>) -> Vec<(Level, String)> {
    found
        .into_iter()
        .map(|it| {
            assert!(it.advice.ends_with('.') && !it.what.ends_with('.'), "{it}");
            assert_eq!(it.advice.matches(". ").count(), 0, "one sentence: {it}");
            (it.level, it.what)
        })
        .collect()
}

#[test]
fn a_good_identity_has_none() {
    let wanted = Wanted {
        topics: vec!["com.example.shop".into(), "com.example.shop.voip".into()],
        environments: Environments::BOTH,
        ..Wanted::default()
    };
    for (file, key) in [
        (data!("keychain.p12"), None),
        (data!("keychain-chain.p12"), None),
        (data!("together.pem"), None),
        (data!("certificate.pem"), Some(data!("key.pkcs1.pem"))),
    ] {
        let identity = Identity::read(file, key, PASSPHRASE).unwrap();
        assert_eq!(findings(&identity, &wanted, NOW), []);
    }
    let one = Pair::new(&GOOD).identity();
    assert_eq!(at(&one, NOW), []);
    let key = Some(data!("secp384r1.key.pem"));
    let p384 = Identity::read(data!("secp384r1.pem"), key, None).unwrap();
    assert_eq!(at(&p384, NOW), []);
    assert_key(&p384, None);
}

#[test]
fn a_key_of_another_certificate() {
    let other = KeyPair::generate().unwrap();
    let pair = Pair::new(&GOOD);
    let kinds = [
        pem(&[&pair.certificate], &other).into_bytes(),
        [data!("certificate.pem"), other.serialize_pem().as_bytes()].concat(),
        [pem_of(&pair).as_bytes(), data!("key.pkcs8.pem")].concat(),
        [pem_of(&pair).as_bytes(), data!("key.pkcs1.pem")].concat(),
        [pem_of(&pair).as_bytes(), data!("prime256v1.key.pem")].concat(),
    ];
    for file in kinds {
        let identity = Identity::read(&file, None, None).unwrap();
        let (level, what) = only(at(&identity, NOW));
        assert_eq!(level, Level::Error);
        assert_key(&identity, Some(&what));
        assert_eq!(
            what,
            "key: expected that of the certificate \"Apple Push Services: com.example.shop\", got \
            another one"
        );
    }
}

fn pem_of(pair: &Pair) -> String {
    crate::make::block("CERTIFICATE", &pair.certificate)
}

#[test]
fn the_certificate_is_not_the_first() {
    let text = [data!("authority.pem"), data!("together.pem")].concat();
    let identity = Identity::read(&text, None, None).unwrap();
    let found = shown(at(&identity, NOW));
    assert!(found.contains(&(
        Level::Error,
        "certificate: expected the one of the key first in the file, got it at place 2".into()
    )));
}

#[test]
fn a_chain_out_of_order() {
    let named = |name| Asked {
        name,
        ..Asked::default()
    };
    let leaf = Pair::issued(&GOOD, "middle");
    let middle = Pair::issued(&named("middle"), "root");
    let root = Pair::new(&named("root"));
    let chain = |chain: &[&Pair]| {
        let chain: Vec<_> = chain.iter().map(|pair| &pair.certificate).collect();
        let identity = Identity::read(pem(&chain, &leaf.key).as_bytes(), None, None);
        at(&identity.unwrap(), NOW)
    };
    assert_eq!(chain(&[&leaf, &middle, &root]), []);
    assert_eq!(chain(&[&leaf, &middle]), []);
    let (level, what) = only(chain(&[&leaf, &root, &middle]));
    assert_eq!(level, Level::Warning);
    assert_eq!(
        what,
        "chain: expected the issuer of certificate 1 at place 2, got \"root\""
    );
    let (_, what) = only(chain(&[&leaf, &middle, &leaf]));
    assert!(what.starts_with("chain: expected the issuer of certificate 2 at place 3"));
}

#[test]
fn keys_that_tls_does_not_take() {
    let weak = Identity::read(data!("weak.pem"), Some(data!("weak.key.pem")), None).unwrap();
    let (level, what) = only(at(&weak, NOW));
    assert_eq!(level, Level::Error);
    assert!(what.ends_with("got an RSA key of 1024 bits"), "{what}");
    assert_key(&weak, Some(&what));
    let key = Some(data!("secp521r1.key.pem"));
    let p521 = Identity::read(data!("secp521r1.pem"), key, None).unwrap();
    let (_, what) = only(at(&p521, NOW));
    assert!(what.ends_with("got a key on the curve P-521"), "{what}");
    // A weak key of another certificate is both.
    let both = Identity::read(data!("certificate.pem"), Some(data!("weak.key.pem")), None).unwrap();
    let found = shown(at(&both, NOW));
    assert!(found[0].1.starts_with("key: expected that of"), "{found:?}");
    assert!(found[1].1.ends_with("one that cannot be used"), "{found:?}");
    // Nor one that is no key at all.
    let noise = crate::make::block("PRIVATE KEY", b"\x30\x03\x02\x01\x00");
    let noise = Identity::read(data!("certificate.pem"), Some(noise.as_bytes()), None).unwrap();
    let (_, what) = only(at(&noise, NOW));
    assert!(what.starts_with("key: expected RSA"), "{what}");
}

#[test]
fn validity_to_the_second() {
    // 2026-01-01 to 2027-01-01.
    let identity = Pair::new(&Asked {
        years: (2026, 2027),
        ..GOOD
    })
    .identity();
    let (begin, end) = (identity.info().not_before, identity.info().not_after);
    let before = |time: UnixTime, by: Duration| {
        UnixTime::from_millis(time.as_millis() - u64::try_from(by.as_millis()).unwrap())
    };
    let second = Duration::from_secs(1);

    let (level, what) = only(at(&identity, before(begin, second)));
    assert_eq!(level, Level::Error);
    assert_eq!(
        what,
        "certificate: expected one that is valid, got one valid from 2026-01-01T00:00:00Z on, in \
        less than a day"
    );
    let (_, what) = only(at(&identity, UnixTime::EPOCH));
    assert!(what.ends_with("in 20454 days"), "{what}");
    assert_eq!(at(&identity, begin), []);

    // The last second belongs to it; thirty days before the end are still enough.
    let end_of = end + second;
    assert_eq!(at(&identity, before(end_of, DAY * 30)), []);
    for (left, text) in [
        (DAY * 30 - second, "got 29 days"),
        (DAY * 2, "got 2 days"),
        (DAY, "got 1 day "),
        (second, "got less than a day"),
    ] {
        let (level, what) = only(at(&identity, before(end_of, left)));
        assert_eq!(level, Level::Warning);
        assert!(what.contains(text), "{what}");
        assert!(what.ends_with("(until 2027-01-01T00:00:00Z)"), "{what}");
    }
    let (level, what) = only(at(&identity, end_of));
    assert_eq!(level, Level::Error);
    assert!(
        what.ends_with("expired at 2027-01-01T00:00:00Z, less than a day ago"),
        "{what}"
    );
    let (_, what) = only(at(&identity, end_of + DAY * 400));
    assert!(what.ends_with("400 days ago"), "{what}");
}

#[test]
fn certificates_that_are_not_for_pushes() {
    let none = Pair::new(&Asked {
        user_id: "",
        ..GOOD
    });
    let (level, what) = only(at(&none.identity(), NOW));
    assert_eq!(level, Level::Error);
    assert!(
        what.starts_with("certificate: expected topics in it"),
        "{what}"
    );
    let signing = Pair::new(&Asked {
        name: "Apple Development: Jane Doe (ABCDE12345)",
        code_signing: true,
        ..Asked::default()
    });
    let (level, what) = only(at(&signing.identity(), NOW));
    assert_eq!(level, Level::Error);
    assert!(what.contains("a certificate for signing apps"), "{what}");
}

#[test]
fn topics_that_it_does_not_list() {
    let identity = Pair::new(&GOOD).identity();
    let wanted = |topics: &[&str]| Wanted {
        topics: topics.iter().map(|topic| (*topic).into()).collect(),
        ..Wanted::default()
    };
    assert_eq!(findings(&identity, &wanted(&["com.example.shop"]), NOW), []);
    let topics = [
        "com.example.shop.voip",
        "com.example.shop",
        "COM.example.shop",
    ];
    let (level, what) = only(findings(&identity, &wanted(&topics), NOW));
    assert_eq!(level, Level::Error);
    assert_eq!(
        what,
        "topics: expected com.example.shop.voip, COM.example.shop in the certificate, got \
        com.example.shop"
    );
}

#[test]
fn topics_have_to_be_named_unless_it_has_none() {
    let wanted = Wanted {
        all_topics: true,
        ..Wanted::default()
    };
    let all = Pair::new(&GOOD).identity();
    let found = findings(&all, &wanted, NOW);
    assert_eq!(found, coverage(all.info(), &wanted));
    let advice = found[0].advice.clone();
    let (level, what) = only(found);
    assert_eq!(level, Level::Error);
    assert!(what.ends_with("it lists com.example.shop"), "{what}");
    let expected = "Write topics = [\"com.example.shop\"] into its section.";
    assert_eq!(advice, expected);
    // Topics with the suffix of a push type come with that of the app.
    let file = data!("keychain.p12");
    let several = Identity::read(file, None, PASSPHRASE).unwrap();
    let found = coverage(several.info(), &wanted);
    assert_eq!((found.len(), found[0].advice.as_str()), (1, expected));
    assert!(found[0].what.contains("com.example.shop.voip"), "{found:?}");
    let private = Pair::new(&Asked {
        user_id: "jane",
        ..Asked::default()
    });
    let found = coverage(private.identity().info(), &wanted);
    assert_eq!((found.len(), found[0].level), (1, Level::Warning));
    let without = Pair::new(&Asked::default()).identity();
    assert_eq!(coverage(without.info(), &wanted), []);
}

#[test]
fn environments_that_it_is_not_for() {
    let production = Pair::new(&Asked {
        name: "Apple Production IOS Push Services: com.example.shop",
        extensions: &[(PRODUCTION, NULL)],
        ..GOOD
    })
    .identity();
    let wanted = |development, production| Wanted {
        environments: Environments {
            development,
            production,
        },
        ..Wanted::default()
    };
    assert_eq!(findings(&production, &wanted(false, true), NOW), []);
    for both in [false, true] {
        let (level, what) = only(findings(&production, &wanted(true, both), NOW));
        assert_eq!(level, Level::Error);
        assert!(what.ends_with("got one for production"), "{what}");
    }
    let universal = Pair::new(&GOOD).identity();
    assert_eq!(findings(&universal, &wanted(true, true), NOW), []);
}

#[test]
fn one_made_for_the_simulator_is_a_note() {
    let made = Pair::issued(
        &Asked {
            name: "shop",
            user_id: "com.example.shop",
            ..Asked::default()
        },
        "Dunlin simulator authority",
    );
    let wanted = Wanted {
        environments: Environments::BOTH,
        ..Wanted::default()
    };
    let (level, what) = only(findings(&made.identity(), &wanted, NOW));
    assert_eq!(level, Level::Note);
    assert!(
        what.ends_with("issued by \"Dunlin simulator authority\""),
        "{what}"
    );
}

#[test]
fn what_a_private_gateway_wants_of_a_certificate_is_its_own_affair() {
    let wanted = Wanted {
        topics: vec!["com.example.shop".into()],
        environments: Environments::BOTH,
        ..Wanted::default()
    };
    let of = |user_id| {
        let made = Pair::new(&Asked {
            name: "jane",
            user_id,
            ..Asked::default()
        });
        shown(findings(&made.identity(), &wanted, NOW))
    };
    let [(level, _)] = of("").try_into().unwrap();
    assert_eq!(level, Level::Note);
    let [(level, what), (note, _)] = of("jane").try_into().unwrap();
    assert_eq!((level, note), (Level::Warning, Level::Note));
    assert_eq!(
        what,
        "topics: expected com.example.shop in the certificate, got jane"
    );
}

#[test]
fn the_worst_comes_first_and_is_shown_with_its_advice() {
    let made = Pair::new(&Asked {
        years: (2020, 2021),
        user_id: "a.b",
        ..Asked::default()
    });
    let found = at(&made.identity(), NOW);
    let levels: Vec<_> = found.iter().map(|it| it.level).collect();
    assert_eq!(levels, [Level::Error, Level::Note]);
    let text = found[1].to_string();
    assert_eq!(
        text,
        "note: certificate: expected one from Apple, got a certificate of no kind of Apple's, \
         issued by one without a name. Use it with a private gateway or the simulator only: APNs \
         does not take it."
    );
}

#[test]
fn what_cannot_be_read_is_a_finding_too() {
    let error = Identity::read(b"", None, None).unwrap_err();
    let finding = Finding::from(error.clone());
    assert_eq!(finding.level, Level::Error);
    assert_eq!(
        (finding.what, finding.advice.as_str()),
        (error.to_string(), error.advice())
    );
}

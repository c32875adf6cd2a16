//! The Bulk-only transport and SCSI.

use bytes::{BufMut, Bytes, BytesMut};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sim::host::{Bot, Data, Error, Host, Sense};
use sim::{BLOCK_BYTES, Simulated};
use std::collections::HashMap;

const MIB: u64 = 1024 * 1024;
const BLOCKS: u32 = (32 * MIB / BLOCK_BYTES as u64) as u32;

fn open() -> (Simulated, Bot) {
    let disk = Simulated::disk(1, 32 * MIB);
    let bot = Bot::new(Host::new(disk.open()));
    (disk, bot)
}

fn refused(key: u8, code: u8, qualifier: u8) -> Error {
    Error::Check(Sense { key, code, qualifier })
}

#[tokio::test]
async fn it_says_what_it_is() {
    let (_disk, mut bot) = open();
    bot.host.enumerate().await.unwrap();
    assert_eq!(bot.max_lun().await.unwrap(), 0);
    let inquiry = bot.inquiry().await.unwrap();
    assert_eq!(inquiry[..5], [0, 0x80, 4, 2, 31]);
    assert_eq!(inquiry[8..32], *b"farhub  simulated disk  ");
    let page = |code| [0x12, 1, code, 0, 255, 0];
    let pages = bot.passed(&page(0), Data::In(255)).await.unwrap();
    assert_eq!(pages[..], [0, 0, 0, 3, 0x00, 0x80, 0x83]);
    let serial = bot.passed(&page(0x80), Data::In(255)).await.unwrap();
    assert_eq!(serial[4..], *b"FA4B00000001");
    let id = bot.passed(&page(0x83), Data::In(255)).await.unwrap();
    assert_eq!(usize::from(id[3]) + 4, id.len());
    assert_eq!(id[4..8], [2, 1, 0, id[3] - 4]);
    assert!(id.ends_with(b"FA4B00000001"));
    assert_eq!(bot.passed(&page(0xb0), Data::In(255)).await, Err(refused(5, 0x24, 0)));
}

#[tokio::test]
async fn it_tells_its_capacity_and_modes() {
    let (_disk, mut bot) = open();
    assert_eq!(bot.blocks().await.unwrap(), BLOCKS);
    let mut long = [0; 16];
    (long[0], long[1], long[13]) = (0x9e, 0x10, 32);
    let capacity = bot.passed(&long, Data::In(32)).await.unwrap();
    assert_eq!(capacity[..12], [&u64::from(BLOCKS - 1).to_be_bytes()[..], &[0, 0, 2, 0]].concat());
    let format = bot.passed(&[0x23, 0, 0, 0, 0, 0, 0, 0, 252, 0], Data::In(252)).await.unwrap();
    assert_eq!(format[..], [&[0, 0, 0, 8][..], &BLOCKS.to_be_bytes(), &[2, 0, 2, 0]].concat());
    let modes = bot.passed(&[0x1a, 0, 0x3f, 0, 192, 0], Data::In(192)).await.unwrap();
    assert_eq!((modes.len(), modes[0], modes[4], modes[6]), (24, 23, 0x08, 0));
    let modes = bot.passed(&[0x5a, 0, 0x08, 0, 0, 0, 0, 0, 28, 0], Data::In(28)).await.unwrap();
    assert_eq!((modes.len(), modes[1], modes[8]), (28, 26, 0x08));
    let only_head = bot.passed(&[0x1a, 0, 0x3f, 0, 4, 0], Data::In(4)).await.unwrap();
    assert_eq!(only_head[..], [23, 0, 0, 0]);
}

#[tokio::test]
async fn random_blocks_come_back() {
    let seed = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (disk, mut bot) = open();
    let mut written = HashMap::<u32, Bytes>::new();
    for _ in 0..200 {
        let blocks = random.random_range(1..=240u16);
        let lba = random.random_range(0..BLOCKS - u32::from(blocks));
        let mut data = vec![0; usize::from(blocks) * BLOCK_BYTES];
        random.fill(&mut data[..]);
        let data = Bytes::from(data);
        bot.write(lba, data.clone()).await.unwrap();
        for (at, block) in (lba..).zip(data.chunks(BLOCK_BYTES)) {
            written.insert(at, data.slice_ref(block));
        }
        assert_eq!(bot.read(lba, blocks).await.unwrap(), data);
    }
    // And in the next session.
    drop(bot);
    let mut bot = Bot::new(Host::new(disk.open()));
    for (lba, block) in written.iter().take(2000) {
        assert_eq!(bot.read(*lba, 1).await.unwrap(), block);
    }
}

#[tokio::test]
async fn the_three_sizes_of_read_and_write_mean_the_same() {
    let (_disk, mut bot) = open();
    let block = Bytes::from(vec![0xa5; BLOCK_BYTES]);
    let write_6 = [0x0a, 0x00, 0x10, 0x00, 1, 0];
    bot.passed(&write_6, Data::Out(block.clone())).await.unwrap();
    let mut read_16 = [0; 16];
    (read_16[0], read_16[8], read_16[13]) = (0x88, 0x10, 1);
    assert_eq!(bot.passed(&read_16, Data::In(512)).await.unwrap(), block);
    let mut write_16 = read_16;
    (write_16[0], write_16[9]) = (0x8a, 1);
    bot.passed(&write_16, Data::Out(block.clone())).await.unwrap();
    assert_eq!(bot.read(0x1001, 1).await.unwrap(), block);
    let all = bot.passed(&[0x08, 0x00, 0x10, 0x00, 0, 0], Data::In(256 * 512)).await.unwrap();
    assert_eq!(all[..1024], [&block[..], &block].concat());
}

#[tokio::test]
async fn what_it_does_not_know_is_refused() {
    let (_disk, mut bot) = open();
    let unknown = refused(5, 0x20, 0);
    assert_eq!(bot.passed(&[0xa0, 0, 0, 0, 0, 0], Data::None).await, Err(unknown.clone()));
    assert_eq!(bot.passed(&[0xff; 16], Data::In(512)).await, Err(unknown.clone()));
    let out = Data::Out(Bytes::from(vec![0; 4096]));
    assert_eq!(bot.passed(&[0x3b; 10], out).await, Err(unknown.clone()));
    // 9E with another service action.
    assert_eq!(bot.passed(&[0x9e, 0x12, 0, 0], Data::In(32)).await, Err(unknown));
    let field = refused(5, 0x24, 0);
    assert_eq!(bot.passed(&[0x1a, 0, 0x3e, 0, 4, 0], Data::In(4)).await, Err(field.clone()));
    assert_eq!(bot.passed(&[0x2f, 2, 0, 0, 0, 0, 0, 0, 1, 0], Data::None).await, Err(field));
    // The sense is told once.
    assert_eq!(bot.sense().await.unwrap(), Sense { key: 0, code: 0, qualifier: 0 });
}

#[tokio::test]
async fn beyond_the_end_is_out_of_range() {
    let (_disk, mut bot) = open();
    let range = refused(5, 0x21, 0);
    assert_eq!(bot.read(BLOCKS, 1).await, Err(range.clone()));
    assert_eq!(bot.read(BLOCKS - 1, 2).await, Err(range.clone()));
    let two = Bytes::from(vec![1; 2 * BLOCK_BYTES]);
    assert_eq!(bot.write(BLOCKS - 1, two).await, Err(range.clone()));
    assert_eq!(bot.read(BLOCKS - 1, 1).await.unwrap(), [0; BLOCK_BYTES][..]);
    let mut read_16 = [0xff; 16];
    read_16[0] = 0x88;
    read_16[10..14].copy_from_slice(&[0, 0, 0, 1]);
    assert_eq!(bot.passed(&read_16, Data::In(512)).await, Err(range.clone()));
    let [l0, l1, l2, l3] = BLOCKS.to_be_bytes();
    let verify = [0x2f, 0, l0, l1, l2, l3, 0, 0, 1, 0];
    assert_eq!(bot.passed(&verify, Data::None).await, Err(range.clone()));
    let synchronize = [0x35, 0, l0, l1, l2, l3, 0, 0, 1, 0];
    assert_eq!(bot.passed(&synchronize, Data::None).await, Err(range));
    bot.passed(&[0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0], Data::None).await.unwrap();
    // Nothing at all may start at the end, and transfers nothing.
    bot.passed(&[0x28, 0, l0, l1, l2, l3, 0, 0, 0, 0], Data::None).await.unwrap();
}

#[tokio::test]
async fn it_can_be_ejected_unless_that_is_prevented() {
    let (_disk, mut bot) = open();
    let (eject, load) = ([0x1b, 0, 0, 0, 2, 0], [0x1b, 0, 0, 0, 3, 0]);
    let ready = [0u8; 6];
    bot.passed(&[0x1e, 0, 0, 0, 1, 0], Data::None).await.unwrap();
    assert_eq!(bot.passed(&eject, Data::None).await, Err(refused(5, 0x53, 2)));
    bot.passed(&[0x1e, 0, 0, 0, 0, 0], Data::None).await.unwrap();
    bot.passed(&eject, Data::None).await.unwrap();
    let no_medium = refused(2, 0x3a, 0);
    assert_eq!(bot.passed(&ready, Data::None).await, Err(no_medium.clone()));
    assert_eq!(bot.blocks().await, Err(no_medium.clone()));
    assert_eq!(bot.read(0, 1).await, Err(no_medium));
    bot.inquiry().await.unwrap();
    bot.passed(&load, Data::None).await.unwrap();
    assert_eq!(bot.passed(&ready, Data::None).await, Err(refused(6, 0x28, 0)));
    bot.passed(&ready, Data::None).await.unwrap();
}

/// BOT §6.7: host and device expect (n)othing, data (i)n or data (o)ut, and one of them more.
#[tokio::test]
async fn the_thirteen_cases() {
    let (_disk, mut bot) = open();
    let ready = [0; 6];
    let read = |blocks| [0x28, 0, 0, 0, 0x40, 0, 0, 0, blocks, 0];
    let write = |blocks| [0x2a, 0, 0, 0, 0x40, 0, 0, 0, blocks, 0];
    let out = |blocks: usize| Data::Out(Bytes::from(vec![9; blocks * BLOCK_BYTES]));
    let (passed, phase_error) = (0, 2);
    // Command, what the host wants; bytes that come in, residue, status.
    type Case<'a> = (&'a str, &'a [u8], Data, usize, u32, u8);
    let cases: [Case<'_>; 13] = [
        ("1 Hn=Dn", &ready, Data::None, 0, 0, passed),
        ("2 Hn<Di", &read(1), Data::None, 0, 0, phase_error),
        ("3 Hn<Do", &write(1), Data::None, 0, 0, phase_error),
        ("4 Hi>Dn", &ready, Data::In(512), 0, 512, passed),
        ("5 Hi>Di", &read(1), Data::In(1024), 512, 512, passed),
        ("6 Hi=Di", &read(2), Data::In(1024), 1024, 0, passed),
        ("7 Hi<Di", &read(2), Data::In(512), 512, 0, phase_error),
        ("8 Hi<>Do", &write(1), Data::In(512), 0, 512, phase_error),
        ("9 Ho>Dn", &ready, out(1), 0, 512, passed),
        ("10 Ho<>Di", &read(1), out(1), 0, 512, phase_error),
        ("11 Ho>Do", &write(1), out(3), 0, 1024, passed),
        ("12 Ho=Do", &write(2), out(2), 0, 0, passed),
        ("13 Ho<Do", &write(2), out(1), 0, 512, phase_error),
    ];
    for (case, command, data, bytes, residue, status) in cases {
        let outcome = bot.command(command, data).await.expect(case);
        let seen = (outcome.data.len(), outcome.residue, outcome.status);
        assert_eq!(seen, (bytes, residue, status), "{case}");
    }
    // Case 5 with a short packet: no halt.
    let outcome = bot.command(&[0x12, 0, 0, 0, 36, 0], Data::In(96)).await.unwrap();
    assert_eq!((outcome.data.len(), outcome.residue, outcome.status), (36, 60, 0));
}

#[tokio::test]
async fn an_invalid_wrapper_halts_until_reset_recovery() {
    let (_disk, mut bot) = open();
    let valid = |flags: u8, lun: u8, length: u8| {
        let mut cbw = BytesMut::from(&b"USBC\x01\0\0\0\0\0\0\0"[..]);
        cbw.put_slice(&[flags, lun, length]);
        cbw.put_bytes(0, 16);
        cbw.freeze()
    };
    let broken = [
        Bytes::from_static(b"USBX"),
        Bytes::new(),
        Bytes::from(vec![0; 31]),
        Bytes::from(vec![0; 512]),
        valid(0, 1, 6),
        valid(0, 0, 0),
        valid(0, 0, 17),
        valid(1, 0, 6),
    ];
    for cbw in broken {
        let stall = |result: Result<Bytes, Error>| {
            assert!(matches!(result, Err(Error::Status { status: -32, .. })), "{result:?}");
        };
        stall(bot.host.write(0x02, cbw).await.map(|()| Bytes::new()));
        stall(bot.host.read(0x81, 13).await);
        // Without the reset the halt comes back.
        bot.host.clear_halt(0x81).await.unwrap();
        bot.host.clear_halt(0x02).await.unwrap();
        stall(bot.host.read(0x81, 13).await);
        bot.recover().await.unwrap();
        bot.inquiry().await.unwrap();
    }
    // In one of many transfers too.
    assert_eq!(bot.blocks().await.unwrap(), BLOCKS);
}

#[tokio::test]
async fn phases_wait_for_each_other() {
    let (_disk, mut bot) = open();
    let mut cbw = BytesMut::from(&b"USBC\x07\0\0\0"[..]);
    cbw.put_u32_le(1024);
    cbw.put_slice(&[0, 0, 10, 0x2a, 0, 0, 0, 0x50, 0, 0, 0, 2]);
    cbw.resize(31, 0);
    bot.host.write(0x02, cbw.freeze()).await.unwrap();
    // The status is asked for before the data is there, which comes in two transfers.
    let status = wire::usb::Submit { length: 13, ..<_>::default() };
    let status = bot.host.submit(0x81, status, Bytes::new()).await.unwrap();
    bot.host.write(0x02, Bytes::from(vec![3; 512])).await.unwrap();
    assert!(bot.host.completed(status).is_none());
    bot.host.write(0x02, Bytes::from(vec![4; 512])).await.unwrap();
    let csw = bot.host.wait(status).await.unwrap();
    assert_eq!(csw.data[..], *b"USBS\x07\0\0\0\0\0\0\0\0");
    let data = bot.read(0x5000, 2).await.unwrap();
    assert_eq!((data[0], data[512]), (3, 4));
}

//! Disks: file systems whose content is checked, and speed.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::net::run;

/// Writes a file on a fresh ext4, syncs, and reads it back from the disk. Returns its hash.
pub(crate) fn write_and_read_back(disk: &Path, mib: usize) -> Result<blake3::Hash> {
    run(&format!("mkfs.ext4 -q -F {}", disk.display()))?;
    mount("", disk)?;
    let mut file = File::create(FILE)?;
    let mut hash = blake3::Hasher::new();
    let mut noise = Noise(1);
    let mut block = vec![0; BLOCK];
    for _ in 0..mib {
        noise.fill(&mut block);
        hash.update(&block);
        file.write_all(&block)?;
    }
    file.sync_all()?;
    drop(file);
    // what is read next must come from the disk, not from memory
    run("umount /mnt")?;
    fs::write("/proc/sys/vm/drop_caches", "3")?;
    mount("", disk)?;
    let read = hash_of_file()?;
    run("umount /mnt")?;
    ensure!(read == hash.finalize(), "what was read is not what was written");
    Ok(read)
}

/// The hash of the same file, as it is in the image behind the disk.
pub(crate) fn hash_in_image(image: &Path) -> Result<blake3::Hash> {
    // the journal was closed properly: no need to write to the image
    mount("-o ro,noload,loop", image)?;
    let hash = hash_of_file()?;
    run("umount /mnt")?;
    Ok(hash)
}

/// Reads past every cache, again and again, until an error; returns when that came. Tells of
/// every block.
pub(crate) fn read_until_error(disk: &Path, tell: &Sender<()>) -> Result<Instant> {
    let file = direct(disk, false)?;
    let mut block = Aligned::new(64 << 10);
    while file.read_exact_at(block.bytes(), 0).is_ok() {
        tell.send(())?;
    }
    Ok(Instant::now())
}

/// Writes noise past every cache, reads it back and compares, other noise each time, until told to
/// stop. Tells of every block.
pub(crate) fn verify_until(disk: &Path, stop: &AtomicBool, tell: &Sender<()>) -> Result<u32> {
    let file = direct(disk, true)?;
    let (mut written, mut read) = (Aligned::new(256 << 10), Aligned::new(256 << 10));
    for round in 1.. {
        for block in 0..VERIFIED_BLOCKS {
            Noise(u64::from(round) << 32 | (block + 1)).fill(written.bytes());
            file.write_all_at(written.bytes(), block * (256 << 10))?;
            tell.send(())?;
        }
        file.sync_all()?;
        for block in 0..VERIFIED_BLOCKS {
            Noise(u64::from(round) << 32 | (block + 1)).fill(written.bytes());
            file.read_exact_at(read.bytes(), block * (256 << 10))?;
            ensure!(written.bytes() == read.bytes(), "block {block} of round {round} is another");
            tell.send(())?;
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(round);
        }
    }
    unreachable!("rounds do not end by themselves")
}

/// Sequential reading past every cache: MiB/s.
pub(crate) fn read_speed(disk: &Path, mib: usize) -> Result<f64> {
    let mut file = direct(disk, false)?;
    let mut block = Aligned::new(BLOCK);
    let start = Instant::now();
    for _ in 0..mib {
        file.read_exact(block.bytes())?;
    }
    Ok(mib as f64 / start.elapsed().as_secs_f64())
}

/// Sequential writing past every cache, and a sync: MiB/s.
pub(crate) fn write_speed(disk: &Path, mib: usize) -> Result<f64> {
    let mut file = direct(disk, true)?;
    let mut block = Aligned::new(BLOCK);
    Noise(2).fill(block.bytes());
    let start = Instant::now();
    for _ in 0..mib {
        file.write_all(block.bytes())?;
    }
    file.sync_all()?;
    Ok(mib as f64 / start.elapsed().as_secs_f64())
}

/// How long each of some 4 KiB reads in random places took.
pub(crate) fn random_reads(disk: &Path, mib: u64, count: usize) -> Result<Vec<Duration>> {
    let file = direct(disk, false)?;
    let mut block = Aligned::new(4096);
    let mut noise = Noise(3);
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let place = noise.next() % (mib << 8) * 4096;
        let start = Instant::now();
        file.read_exact_at(block.bytes(), place)?;
        times.push(start.elapsed());
    }
    Ok(times)
}

fn mount(options: &str, what: &Path) -> Result<()> {
    run(&format!("mount {options} {} /mnt", what.display())).map(drop)
}

fn hash_of_file() -> Result<blake3::Hash> {
    let mut hash = blake3::Hasher::new();
    std::io::copy(&mut File::open(FILE)?, &mut hash)?;
    Ok(hash.finalize())
}

fn direct(disk: &Path, write: bool) -> Result<File> {
    let mut options = OpenOptions::new();
    Ok(options.read(true).write(write).custom_flags(libc::O_DIRECT).open(disk)?)
}

/// Bytes at a page boundary, which `O_DIRECT` asks for.
struct Aligned {
    room: Vec<u8>,
    len: usize,
}

impl Aligned {
    fn new(len: usize) -> Aligned {
        Aligned { room: vec![0; len + PAGE], len }
    }

    fn bytes(&mut self) -> &mut [u8] {
        let start = self.room.as_ptr().align_offset(PAGE);
        &mut self.room[start..start + self.len]
    }
}

/// Bytes that no compression or cache can guess: xorshift64.
pub(crate) struct Noise(pub u64);

impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let next = self.next().to_le_bytes();
            chunk.copy_from_slice(&next[..chunk.len()]);
        }
    }
}

const FILE: &str = "/mnt/noise";
const BLOCK: usize = 1 << 20;
/// Of 256 KiB, in one round: 8 MiB.
const VERIFIED_BLOCKS: u64 = 32;
const PAGE: usize = 4096;

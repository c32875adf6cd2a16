//! The file system of the disk.

use sim::host::{Bot, Host};
use sim::{PATTERN_BYTES, Simulated, pattern};
use std::process::Command;

const MIB: u64 = 1024 * 1024;

/// The whole disk, read through its door.
async fn image(bytes: u64) -> Vec<u8> {
    let disk = Simulated::disk(1, bytes);
    let mut bot = Bot::new(Host::new(disk.open()));
    let blocks = bot.blocks().await.expect("a capacity");
    let mut image = Vec::new();
    for lba in (0..blocks).step_by(1024) {
        image.extend_from_slice(&bot.read(lba, 1024).await.expect("blocks"));
    }
    assert_eq!(image.len() as u64, bytes);
    image
}

fn word(data: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([data[at], data[at + 1]]))
}

#[tokio::test]
async fn the_files_can_be_read_as_the_specification_says() {
    let image = image(32 * MIB).await;
    assert_eq!(image[510..512], [0x55, 0xaa]);
    assert_eq!((word(&image, 11), image[16]), (512, 2));
    let (cluster_blocks, reserved) = (usize::from(image[13]), word(&image, 14));
    let (entries, fat_blocks) = (word(&image, 17), word(&image, 22));
    let root_block = reserved + 2 * fat_blocks;
    let data_block = root_block + entries * 32 / 512;
    let clusters = (image.len() / 512 - data_block) / cluster_blocks;
    assert!((4085..65525).contains(&clusters), "{clusters} clusters are not FAT16");
    assert!(fat_blocks * 256 >= clusters + 2);
    let fat = &image[reserved * 512..];
    let mirror = (reserved + fat_blocks) * 512;
    assert_eq!(fat[..fat_blocks * 512], image[mirror..mirror + fat_blocks * 512]);
    let root = &image[root_block * 512..][..entries * 32];
    let read = |name: &[u8; 11]| {
        let entry = root.chunks(32).find(|entry| entry[..11] == *name).unwrap();
        let bytes = u32::from_le_bytes(entry[28..32].try_into().unwrap()) as usize;
        let (mut cluster, mut file) = (word(entry, 26), Vec::new());
        while cluster < 0xfff8 {
            let at = (data_block + (cluster - 2) * cluster_blocks) * 512;
            file.extend_from_slice(&image[at..at + cluster_blocks * 512]);
            cluster = word(fat, 2 * cluster);
        }
        assert!(file.len() - bytes < cluster_blocks * 512);
        file.truncate(bytes);
        file
    };
    assert!(read(b"README  TXT").starts_with(b"This disk is simulated by farhub"));
    let file = read(b"PATTERN BIN");
    assert_eq!((file.len(), &file[..]), (PATTERN_BYTES, &pattern()[..]));
}

/// Every size that may be asked for, checked by dosfstools where they are installed.
#[tokio::test]
async fn fsck_finds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    for size in [8 * MIB, 9 * MIB, 32 * MIB, 100 * MIB] {
        std::fs::write(&path, image(size).await).unwrap();
        let fsck = Command::new("fsck.fat").arg("-n").arg("-v").arg(&path).output();
        let output = match fsck {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                eprintln!("SKIPPED: fsck.fat is not installed");
                return;
            }
            Err(error) => panic!("fsck.fat: {error}"),
        };
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{size}: {said}");
        assert!(said.contains("2 bytes per FAT entry") || said.contains("FAT16"), "{said}");
    }
}

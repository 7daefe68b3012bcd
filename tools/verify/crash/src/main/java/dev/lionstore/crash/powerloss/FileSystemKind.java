package dev.lionstore.crash.powerloss;

import java.util.Locale;

/** A file system whose disk loses its power. */
enum FileSystemKind {
  EXT4("e2fsprogs"),
  XFS("xfsprogs"),
  BTRFS("btrfs-progs");

  private final String debianPackage;

  FileSystemKind(String debianPackage) {
    this.debianPackage = debianPackage;
  }

  /** As mount and mkfs call it. */
  String word() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Of that word. */
  static FileSystemKind of(String word) {
    for (FileSystemKind kind : values()) {
      if (kind.word().equals(word)) {
        return kind;
      }
    }
    throw new IllegalArgumentException("file system is " + word + ", expected ext4, xfs or btrfs");
  }

  /** What brings the command that makes one. */
  String debianPackage() {
    return debianPackage;
  }
}

package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class VerificationNoteTest {
  @TempDir Path folder;
  private Path snapshot;
  private Path note;

  @BeforeEach
  void takeOne() throws IOException {
    Path store = Models.steppedStore(folder, 1);
    snapshot = Models.snapshot(store, folder.resolve("snapshots"), 1L << 40);
    note = folder.resolve("snapshots/.step-000000000001.verified");
  }

  @Test
  void isWrittenBesideTheSnapshotInTheDocumentedWords() throws IOException {
    List<String> inside = Models.names(snapshot);
    assertEquals(Optional.empty(), VerificationNote.read(snapshot));
    Instant before = Instant.now();
    Verified verified = Verified.check(snapshot, bytes -> {});
    assertEquals(snapshot, verified.snapshot());
    assertEquals(1, verified.step());
    String manifest = Files.readString(snapshot.resolve(Manifest.NAME));
    String crc = manifest.substring(manifest.length() - "01234567\"\n}\n".length()).substring(0, 8);
    Instant time = VerificationNote.read(snapshot).orElseThrow();
    assertFalse(time.isBefore(before) || time.isAfter(Instant.now()), time::toString);
    FileTime changed = FileTime.fromMillis(0);
    for (String name : inside) {
      FileTime own = (FileTime) Files.getAttribute(snapshot.resolve(name), "unix:ctime");
      changed = own.compareTo(changed) > 0 ? own : changed;
    }
    assertEquals(
        "lionstore verification 1\nmanifest "
            + crc
            + "\nchanged "
            + changed.toInstant()
            + "\ntime "
            + time
            + "\n",
        Files.readString(note));
    assertEquals(inside, Models.names(snapshot));
    assertEquals(
        List.of(".step-000000000001.verified", "step-000000000001"),
        Models.names(folder.resolve("snapshots")));
  }

  @Test
  void isReplacedByALaterOneAndTakenBack() throws IOException {
    VerificationNote.write(snapshot);
    Files.writeString(folder.resolve("snapshots/..step-000000000001.verified.new"), "half");
    Instant first = VerificationNote.read(snapshot).orElseThrow();
    VerificationNote.write(snapshot);
    assertTrue(VerificationNote.read(snapshot).orElseThrow().isAfter(first));
    VerificationNote.remove(snapshot);
    assertEquals(List.of("step-000000000001"), Models.names(folder.resolve("snapshots")));
    VerificationNote.remove(snapshot);
  }

  @Test
  void saysNothingOfACopyWhateverThatKeeps() throws Exception {
    Verified.check(snapshot, bytes -> {});
    Path copy = folder.resolve("copy");
    Process cp =
        new ProcessBuilder("cp", "-a", folder.resolve("snapshots").toString(), copy.toString())
            .start();
    assertEquals(0, cp.waitFor());
    assertEquals(Files.readString(note), Files.readString(copy.resolve(note.getFileName())));
    Path copied = copy.resolve(snapshot.getFileName());
    assertEquals(SnapshotFolder.taken(snapshot), SnapshotFolder.taken(copied));
    assertEquals(Optional.empty(), VerificationNote.read(copied));
    assertTrue(VerificationNote.read(snapshot).isPresent());
    Verified.check(copied, bytes -> {});
    assertTrue(VerificationNote.read(copied).isPresent());
  }

  @Test
  void saysNothingOfFilesThatWereWrittenSince() throws IOException {
    Verified.check(snapshot, bytes -> {});
    Path file = snapshot.resolve("optimizer.safetensors");
    FileTime modified = Files.getLastModifiedTime(file);
    Files.write(file, Files.readAllBytes(file));
    Files.setLastModifiedTime(file, modified);
    assertEquals(Optional.empty(), VerificationNote.read(snapshot));
  }

  @Test
  void isTakenBackWhenAHeaderIsDamaged() throws IOException {
    Verified.check(snapshot, bytes -> {});
    Path file = snapshot.resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    bytes[8] ^= 1;
    Files.write(file, bytes);
    assertThrows(FormatException.class, () -> Verified.check(snapshot, read -> {}));
    assertFalse(Files.exists(note));
  }

  @Test
  void goesWhenAnotherIsWrittenAndItsSnapshotIsGone() throws IOException {
    Path others = folder.resolve("snapshots");
    Path stray = others.resolve(".step-000000000009.verified");
    Files.writeString(stray, "lionstore verification 1\nwhatever\n");
    Path mine = Files.writeString(others.resolve(".step-000000000008.verified"), "mine");
    Path odd = others.resolve(".notes.verified");
    Files.writeString(odd, "lionstore verification 1\n");
    VerificationNote.read(snapshot);
    assertTrue(Files.exists(stray), "reading changes nothing");
    Verified.check(snapshot, bytes -> {});
    assertFalse(Files.exists(stray));
    assertTrue(Files.exists(mine) && Files.exists(odd) && Files.exists(note));
  }

  @Test
  void saysNothingOfAnotherManifestOrFromBeforeItWasWritten() throws IOException {
    VerificationNote.write(snapshot);
    String text = Files.readString(note);
    String crc = text.substring("lionstore verification 1\nmanifest ".length()).substring(0, 8);
    Files.writeString(note, text.replace(crc, crc.equals("00000000") ? "00000001" : "00000000"));
    assertEquals(Optional.empty(), VerificationNote.read(snapshot));
    Files.writeString(note, text);
    assertTrue(VerificationNote.read(snapshot).isPresent());
    Files.setLastModifiedTime(
        snapshot.resolve(Manifest.NAME), FileTime.from(Instant.now().plusSeconds(60)));
    assertEquals(Optional.empty(), VerificationNote.read(snapshot), "as after a copy");
  }

  @Test
  void saysNothingWhenItIsBroken() throws IOException {
    VerificationNote.write(snapshot);
    String text = Files.readString(note);
    for (String broken :
        List.of(
            "",
            "lionstore verification 2" + text.substring("lionstore verification 1".length()),
            text.substring(0, text.length() - 3),
            text + "more\n",
            text.replaceAll("time .*", "time yesterday"),
            text.replaceAll("time .*", "time 9999999999-01-01T00:00:00Z"),
            text.replaceAll("manifest ........", "manifest 0"))) {
      Files.writeString(note, broken);
      assertEquals(Optional.empty(), VerificationNote.read(snapshot), broken);
    }
    Files.write(note, new byte[] {(byte) 0xFF, (byte) 0xFE});
    assertEquals(Optional.empty(), VerificationNote.read(snapshot));
    Files.writeString(note, text);
    Files.delete(snapshot.resolve(Manifest.NAME));
    assertEquals(Optional.empty(), VerificationNote.read(snapshot));
  }

  @Test
  void leavesSomebodyElsesFileOfItsName() throws IOException {
    Files.writeString(note, "mine");
    Verified.check(snapshot, bytes -> {});
    VerificationNote.remove(snapshot);
    assertEquals("mine", Files.readString(note));
    Files.delete(note);
    Files.createDirectory(note);
    Verified.check(snapshot, bytes -> {});
    VerificationNote.remove(snapshot);
    assertTrue(Files.isDirectory(note));
    Files.delete(note);
    Path target = Files.writeString(folder.resolve("target"), "lionstore verification 1\n");
    Files.createSymbolicLink(note, target);
    Verified.check(snapshot, bytes -> {});
    VerificationNote.remove(snapshot);
    assertTrue(Files.isSymbolicLink(note));
    assertEquals("lionstore verification 1\n", Files.readString(target));
  }

  @Test
  void standsBesideTheSnapshotThatALinkLeadsToAndBesideNoOther() throws IOException {
    Path latest = Files.createSymbolicLink(folder.resolve("latest"), snapshot);
    Verified.check(latest, bytes -> {});
    assertTrue(Files.exists(note));
    assertEquals(VerificationNote.read(snapshot), VerificationNote.read(latest));
    Path renamed = Files.move(snapshot, folder.resolve("best"));
    Verified.check(renamed, bytes -> {});
    assertFalse(Models.names(folder).stream().anyMatch(name -> name.endsWith("verified")));
  }
}

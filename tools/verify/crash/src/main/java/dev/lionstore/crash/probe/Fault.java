package dev.lionstore.crash.probe;

/** A rule of the protocol that is broken on purpose, to see that the harness notices. */
public enum Fault {
  /** Nothing is broken. */
  NONE,
  /** A chunk is stamped when its first unit begins. */
  STAMP_BEFORE_DATA,
  /** Units are named without having been saved. */
  UNIT_NOT_SAVED,
  /** A device's chunks are named without having been saved. */
  CHUNK_NOT_SAVED,
  /** A header's slot stays valid while it is written, and its checksum is not looked at. */
  INTENT_UNCHECKED,
  /** Recovery applies chunks that have been applied. */
  APPLIED_TWICE,
  /** Stamps, units in hand and planes begun of a later step than the header's are not looked at. */
  LATER_STEP_IGNORED,
  /** An intent does not record what was looked at. */
  LOOKS_NOT_RECORDED,
  /** Recovery does not look for a change of masters. */
  CHANGE_NOT_REDONE,
  /** The journal of a change is gone before the change is complete. */
  CHANGE_JOURNAL_GONE_EARLY
}

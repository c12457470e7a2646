import { create } from '@bufbuild/protobuf'
import type { Entry } from '../../guest/entry.ts'
import { type EntryInfo, EntryInfoSchema, FileType } from '../../wire/gen/envd/filesystem/filesystem_pb.ts'

const fileTypes: Record<Entry['type'], FileType> = {
  file: FileType.FILE,
  directory: FileType.DIRECTORY,
  symlink: FileType.SYMLINK,
  unspecified: FileType.UNSPECIFIED,
}

/** The times a protobuf timestamp can have, in Unix seconds: the years 1 to 9999. Files can be older and younger. */
const minSeconds = -62_135_596_800
const maxSeconds = 253_402_300_799

export function toEntryInfo(entry: Entry): EntryInfo {
  const { name, path, mode, permissions, owner, group, symlinkTarget, metadata } = entry
  return create(EntryInfoSchema, {
    name,
    path,
    mode,
    permissions,
    owner,
    group,
    metadata,
    type: fileTypes[entry.type],
    size: BigInt(entry.size),
    modifiedTime: toTimestamp(entry.modifiedMs),
    ...(symlinkTarget === undefined ? {} : { symlinkTarget }),
  })
}

function toTimestamp(ms: number): { seconds: bigint; nanos: number } {
  const micros = Math.round(ms * 1000)
  const seconds = Math.floor(micros / 1e6)
  if (seconds < minSeconds) return { seconds: BigInt(minSeconds), nanos: 0 }
  if (seconds > maxSeconds) return { seconds: BigInt(maxSeconds), nanos: 0 }
  return { seconds: BigInt(seconds), nanos: (micros - seconds * 1e6) * 1000 }
}

/** Writes a new file, as `docker save` does, of an image whose one layer is `tar`. `config`: as OCI has it. */
export function writeImageArchive(
  file: string,
  tar: AsyncIterable<Buffer>,
  about: { image: string; architecture: string; config: object },
): Promise<void>

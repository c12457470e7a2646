/**
 * How to encode a response, by its request's `Accept-Encoding`; undefined where nothing we have is acceptable.
 *
 * Clients ask for gzip in two ways: some by naming it alone, because their user wants less traffic; most because
 * their HTTP library lists all it can decode. Only the former get it. Compressing is slower than most networks in
 * front of a sandbox and takes the processors that sandboxes run on.
 */
export function chooseEncoding(header: string | undefined): 'identity' | 'gzip' | undefined {
  const qualities = new Map<string, number>()
  for (const item of (header ?? '').toLowerCase().split(',')) {
    const [coding, ...parameters] = item.split(';').map((part) => part.trim())
    if (coding) qualities.set(coding === 'x-gzip' ? 'gzip' : coding, qualityOf(parameters))
  }
  const others = qualities.get('*')
  const gzip = qualities.get('gzip') ?? others ?? 0
  // Not being listed doesn't refuse it; being refused, by name or by `*`, does.
  const identity = qualities.get('identity') ?? (others === 0 ? 0 : undefined)
  const isGzipNamedAlone = gzip > 0 && [...qualities.keys()].every((coding) => coding === 'gzip')
  if (identity === 0) return gzip > 0 ? 'gzip' : undefined
  return isGzipNamedAlone || (identity !== undefined && gzip > identity) ? 'gzip' : 'identity'
}

function qualityOf(parameters: string[]): number {
  const weight = parameters.find((parameter) => parameter.startsWith('q='))
  if (weight === undefined) return 1
  const quality = Number(weight.slice(2))
  return quality >= 0 && quality <= 1 ? quality : 0
}

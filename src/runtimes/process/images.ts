import { ServerError } from '../../domain/error.ts'
import type { Images } from '../../domain/runtime.ts'

/** The one image there is: this machine's own file system */
const onlyImage = 'none'

/** Errors: `not_found`. */
export function checkImage(image: string): void {
  if (image === onlyImage) return
  throw new ServerError('not_found', `The process runtime has no images: ${image} must be ${onlyImage}.`)
}

export const images: Images = {
  has: async (image) => image === onlyImage,
  pull: async (image) => checkImage(image),
  list: async () => [],
  async remove(image) {
    if (image !== onlyImage) return
    throw new ServerError('failed_precondition', "This machine's own file system can't be removed.")
  },
  async size(image) {
    checkImage(image)
    return 0
  },
}

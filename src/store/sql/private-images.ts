import type { Kysely } from 'kysely'
import type { PrivateImageStore } from '../../domain/template-layer.ts'
import type { Tables } from '../schema.ts'

export function createPrivateImageStore(db: Kysely<Tables>): PrivateImageStore {
  return {
    async put({ image, imageId }) {
      const values = { image, image_id: imageId }
      await db
        .insertInto('private_images')
        .values(values)
        .onConflict((conflict) => conflict.column('image').doUpdateSet(values))
        .execute()
    },
    async list() {
      const rows = await db.selectFrom('private_images').selectAll().orderBy('image').execute()
      return rows.map((row) => ({ image: row.image, imageId: row.image_id }))
    },
    async remove(image) {
      await db.deleteFrom('private_images').where('image', '=', image).execute()
    },
  }
}

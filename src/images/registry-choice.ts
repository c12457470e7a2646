/** Which registries the server asks, and how. */
export interface RegistryChoice {
  /** Asked in Docker Hub's place: `host[:port][/prefix]` */
  mirror?: string
  /** Asks none at all */
  offline: boolean
  /** Private ranges whose registries are asked all the same, besides the mirror */
  allow: readonly string[]
  /** Where AWS gives passwords for ECR, by region */
  ecrEndpoint: (region: string) => string
}

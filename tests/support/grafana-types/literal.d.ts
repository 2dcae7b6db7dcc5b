// The type of a JSON literal that is meant as T: enums become their values, everything else is checked as it is.
export type Literal<T> = unknown extends T
  ? T
  : T extends string
    ? `${T}`
    : T extends number
      ? `${T}` extends `${infer N extends number}`
        ? N
        : T
      : T extends boolean | null | undefined
        ? T
        : T extends Array<infer U>
          ? Array<Literal<U>>
          : T extends object
            ? { [K in keyof T]: Literal<T[K]> }
            : T;

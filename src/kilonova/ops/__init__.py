"""Operations: does everything that exists have a reason to? Asks all services over their public interfaces."""

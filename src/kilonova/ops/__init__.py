"""Operations: does everything that exists have a reason to? Asks all services by their public doors."""

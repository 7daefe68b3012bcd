package dev.lionstore.formula;

import java.lang.classfile.TypeKind;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.util.List;

/** The little of Java that forms of rules need; {@link ClassWriter} makes a class file of it. */
public final class Code {
  private Code() {}

  /** A type: a primitive one, an array, or a class. */
  public record Type(ClassDesc description, TypeKind kind) {
    /** {@code int}. */
    public static final Type INT = of(ConstantDescs.CD_int);

    /** {@code long}. */
    public static final Type LONG = of(ConstantDescs.CD_long);

    /** {@code float}. */
    public static final Type FLOAT = of(ConstantDescs.CD_float);

    /** {@code boolean}. */
    public static final Type BOOLEAN = of(ConstantDescs.CD_boolean);

    /** Nothing. */
    public static final Type VOID = of(ConstantDescs.CD_void);

    private static Type of(ClassDesc description) {
      return new Type(description, TypeKind.from(description));
    }

    /** A class, by its binary name. */
    public static Type of(String className) {
      return of(ClassDesc.of(className));
    }

    /** An array of these. */
    public Type array() {
      return of(description.arrayType());
    }
  }

  /** A value. */
  public sealed interface Expression {
    /** What it is. */
    Type type();
  }

  /** A number of a primitive type. */
  public record Constant(Type type, Number value) implements Expression {}

  /** A local variable. */
  public record Local(Type type, String name) implements Expression {}

  /** A static field. */
  public record Static(Type owner, String name, Type type) implements Expression {}

  /** A field. */
  public record Field(Local of, String name, Type type) implements Expression {}

  /** An element of an array. */
  public record Element(Expression array, int index, Type type) implements Expression {}

  /**
   * Of numbers of one type.
   *
   * @param operator one of {@code + - * / & ^ |}
   */
  public record Arithmetic(Type type, char operator, Expression left, Expression right)
      implements Expression {}

  /** An int widened to a long. */
  public record ToLong(Expression of) implements Expression {
    @Override
    public Type type() {
      return Type.LONG;
    }
  }

  /**
   * A call.
   *
   * @param owner the class that declares the method
   * @param receiver none if the method is static, else one
   * @param returned what the method is declared to return
   * @param parameters what it is declared to take
   * @param type what the value is, cast if that is not what is returned
   */
  public record Call(
      Type owner,
      String name,
      List<Expression> receiver,
      List<Expression> arguments,
      List<Type> parameters,
      Type returned,
      Type type)
      implements Expression {
    /** Copies the lists. */
    public Call {
      receiver = List.copyOf(receiver);
      arguments = List.copyOf(arguments);
      parameters = List.copyOf(parameters);
    }
  }

  /** One of two values, by a comparison of floats. */
  public record Choice(
      Type type, Op comparison, Expression left, Expression right, Expression yes, Expression no)
      implements Expression {}

  /** What is done. */
  public sealed interface Action {}

  /** Gives a local a value. */
  public record Let(Local local, Expression value) implements Action {}

  /** Makes room for a local that is given a value on every way. */
  public record Declare(Local local) implements Action {}

  /** Computes a value for its effect. */
  public record Run(Expression call) implements Action {}

  /** Does one thing or another; a long counts as true unless it is 0. */
  public record If(Expression condition, List<Action> yes, List<Action> no) implements Action {
    /** Copies the lists. */
    public If {
      yes = List.copyOf(yes);
      no = List.copyOf(no);
    }
  }

  /** {@code for (int i = 0; i < count; i += step)}. */
  public record Loop(Local i, Expression count, Expression step, List<Action> body)
      implements Action {
    /** Copies the list. */
    public Loop {
      body = List.copyOf(body);
    }
  }

  /** What follows comes of this line of the rule. */
  public record Line(int number) implements Action {}

  /**
   * A class of one method, which implements an interface's.
   *
   * @param name the class's binary name
   * @param implemented the interface
   * @param method that it has
   * @param parameter of the method, which returns nothing
   * @param body what the method does
   * @param source what the lines are of
   */
  public record Form(
      String name,
      Type implemented,
      String method,
      Local parameter,
      List<Action> body,
      String source) {
    /** Copies the list. */
    public Form {
      body = List.copyOf(body);
    }
  }

  /** A number. */
  public static Expression number(int value) {
    return new Constant(Type.INT, value);
  }

  /** A number. */
  public static Expression number(long value) {
    return new Constant(Type.LONG, value);
  }

  /** A number. */
  public static Expression number(float value) {
    return new Constant(Type.FLOAT, value);
  }
}
